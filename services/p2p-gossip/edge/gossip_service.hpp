// The gRPC services P2PGossip and PayloadSource: messages to values and back; handlers run on gRPC's own threads.
#pragma once
#include "libs/wire/watchers.hpp"
#include "services/p2p-gossip/actors/block_board.hpp"
#include "services/p2p-gossip/actors/network.hpp"
#include "services/p2p-gossip/actors/validator.hpp"
#include "towline/v1/p2p_gossip.grpc.pb.h"
#include "towline/v1/payload_source.grpc.pb.h"

namespace towline::gossip {

/// What is known of this node besides the network.
struct NodeFacts {
  const rollup::Config* config;
  /// Where the current signer is known from.
  std::function<std::string()> signer_source;
  /// Empty without discovery.
  std::function<std::string()> enr;
  std::function<std::size_t()> discovered;
};

class GossipService final : public v1::P2PGossip::Service {
 public:
  GossipService(Network& network, Validator& validator, BlockBoard& board, NodeFacts facts)
      : network_{network}, validator_{validator}, board_{board}, facts_{std::move(facts)} {}

  grpc::Status WatchBlocks(grpc::ServerContext*, const v1::WatchBlocksRequest*,
                           grpc::ServerWriter<v1::WatchBlocksResponse>*) override;
  grpc::Status PublishBlock(grpc::ServerContext*, const v1::PublishBlockRequest*, v1::PublishBlockResponse*) override;
  grpc::Status GetNode(grpc::ServerContext*, const v1::GetNodeRequest*, v1::GetNodeResponse*) override;
  grpc::Status ListPeers(grpc::ServerContext*, const v1::ListPeersRequest*, v1::ListPeersResponse*) override;
  grpc::Status BanPeer(grpc::ServerContext*, const v1::BanPeerRequest*, v1::BanPeerResponse*) override;
  grpc::Status UnbanPeer(grpc::ServerContext*, const v1::UnbanPeerRequest*, v1::UnbanPeerResponse*) override;
  grpc::Status ListBans(grpc::ServerContext*, const v1::ListBansRequest*, v1::ListBansResponse*) override;
  grpc::Status ConnectPeer(grpc::ServerContext*, const v1::ConnectPeerRequest*, v1::ConnectPeerResponse*) override;

 private:
  Network& network_;
  Validator& validator_;
  BlockBoard& board_;
  const NodeFacts facts_;
  wire::Watchers watchers_{64};
};

/// The cached payloads.
class GossipPayloadService final : public v1::PayloadSource::Service {
 public:
  explicit GossipPayloadService(BlockBoard& board) : board_{board} {}
  grpc::Status GetPayload(grpc::ServerContext*, const v1::GetPayloadRequest*, v1::GetPayloadResponse*) override;
  grpc::Status StreamPayloads(grpc::ServerContext*, const v1::StreamPayloadsRequest*,
                              grpc::ServerWriter<v1::StreamPayloadsResponse>*) override;

 private:
  BlockBoard& board_;
  wire::Watchers readers_{32};
};

}  // namespace towline::gossip
