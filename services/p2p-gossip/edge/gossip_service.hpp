// The gRPC services P2PGossip and PayloadSource: convert messages to values for the actors and the network, and their
// answers to messages. No call holds a thread.
#pragma once
#include "libs/actor_kit/published.hpp"
#include "libs/wire/watchers.hpp"
#include "services/p2p-gossip/actors/block_store.hpp"
#include "services/p2p-gossip/actors/validator.hpp"
#include "services/p2p-gossip/edge/tcp_transport.hpp"
#include "towline/v1/p2p_gossip.grpc.pb.h"
#include "towline/v1/payload_source.grpc.pb.h"

namespace towline::gossip {

/// Facts about this node beside the network's state.
struct NodeFacts {
  const rollup::Config* config;
  /// Where the current signer is known from: "flag", "network" or "l1".
  std::function<std::string()> signer_source;
  /// Empty functions without discovery.
  std::function<std::string()> enr;
  std::function<std::size_t()> discovered;
};

class GossipService final : public v1::P2PGossip::CallbackService {
 public:
  struct Parts {
    caf::actor_system* system;
    block_store_actor store;
    const Published<ValidBlockPtr>* last;
    Validator* validator;
    Network* network;
    NodeFacts facts;
  };
  explicit GossipService(Parts parts) : parts_{std::move(parts)} {}

  grpc::ServerWriteReactor<v1::WatchBlocksResponse>* WatchBlocks(grpc::CallbackServerContext*,
                                                                 const v1::WatchBlocksRequest*) override;
  grpc::ServerWriteReactor<v1::WatchPayloadsResponse>* WatchPayloads(grpc::CallbackServerContext*,
                                                                     const v1::WatchPayloadsRequest*) override;
  grpc::ServerUnaryReactor* PublishBlock(grpc::CallbackServerContext*, const v1::PublishBlockRequest*,
                                         v1::PublishBlockResponse*) override;
  grpc::ServerUnaryReactor* GetNode(grpc::CallbackServerContext*, const v1::GetNodeRequest*,
                                    v1::GetNodeResponse*) override;
  grpc::ServerUnaryReactor* ListPeers(grpc::CallbackServerContext*, const v1::ListPeersRequest*,
                                      v1::ListPeersResponse*) override;
  grpc::ServerUnaryReactor* BanPeer(grpc::CallbackServerContext*, const v1::BanPeerRequest*,
                                    v1::BanPeerResponse*) override;
  grpc::ServerUnaryReactor* UnbanPeer(grpc::CallbackServerContext*, const v1::UnbanPeerRequest*,
                                      v1::UnbanPeerResponse*) override;
  grpc::ServerUnaryReactor* ListBans(grpc::CallbackServerContext*, const v1::ListBansRequest*,
                                     v1::ListBansResponse*) override;
  grpc::ServerUnaryReactor* ConnectPeer(grpc::CallbackServerContext*, const v1::ConnectPeerRequest*,
                                        v1::ConnectPeerResponse*) override;

 private:
  v1::GetNodeResponse node(const Network::View& network) const;
  v1::ListPeersResponse peers(const Network::View& network) const;

  const Parts parts_;
  wire::Watchers watchers_{64};
};

/// Serves the cached payloads.
class GossipPayloadService final : public v1::PayloadSource::CallbackService {
 public:
  GossipPayloadService(caf::actor_system& system, block_store_actor store)
      : system_{system}, store_{std::move(store)} {}
  grpc::ServerUnaryReactor* GetPayload(grpc::CallbackServerContext*, const v1::GetPayloadRequest*,
                                       v1::GetPayloadResponse*) override;
  grpc::ServerWriteReactor<v1::StreamPayloadsResponse>* StreamPayloads(grpc::CallbackServerContext*,
                                                                       const v1::StreamPayloadsRequest*) override;

 private:
  caf::actor_system& system_;
  const block_store_actor store_;
  wire::Watchers readers_{32};
};

}  // namespace towline::gossip
