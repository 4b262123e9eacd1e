#include "services/p2p-gossip/edge/gossip_service.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <caf/after.hpp>
#include <caf/event_based_actor.hpp>

#include "libs/grpc_kit/server_calls.hpp"
#include "libs/wire/convert.hpp"
#include "services/p2p-gossip/edge/payload_sender.hpp"

namespace towline::gossip {
using CheckedPtr = std::shared_ptr<const gossip_block::Checked>;
}

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::gossip::CheckedPtr)

namespace towline::gossip {
namespace {

constexpr auto kValidation = std::chrono::seconds{10};
constexpr absl::Duration kDefaultBan = absl::Hours(1);

using checked_atom = caf::atom_constant<caf::atom("checked")>;

v1::GossipBlock to_proto(const ValidBlock& b) {
  v1::GossipBlock out;
  *out.mutable_block() = wire::to_proto(b.payload->ref());
  out.set_signer(to_string(b.signer.view()));
  out.set_signature(to_string(b.signature.view()));
  out.set_received_at_ms(static_cast<std::uint64_t>(absl::ToUnixMillis(b.received)));
  out.set_peer_id(b.peer);
  return out;
}

/// The version (1 .. 4) of a block topic.
std::uint32_t version_of(const std::vector<std::string>& all, const std::string& topic) {
  return static_cast<std::uint32_t>(std::find(all.begin(), all.end(), topic) - all.begin()) + 1;
}

/// Ends a call whose response is empty.
template <class Response>
std::function<void(absl::Status)> finish_with_status(const std::shared_ptr<grpc_kit::UnaryCall<Response>>& call) {
  return [call](const absl::Status& st) {
    if (st.ok()) call->finish({});
    else call->fail(wire::to_grpc(st));
  };
}

/// A stream of the store's blocks; `message_of` converts a block.
template <class Message, class MessageOf>
grpc::ServerWriteReactor<Message>* watch(wire::Watchers& watchers, const block_store_actor& store, Watcher::Wants wants,
                                         MessageOf message_of) {
  auto place = std::make_shared<wire::Watchers::Place>(watchers.take());
  if (!*place) return grpc_kit::refuse<Message>(watchers.refusal());
  // The watcher owns the call, so the call must not own the watcher.
  const auto slot = std::make_shared<std::weak_ptr<const Watcher>>();
  const auto call = grpc_kit::StreamCall<Message>::make({[slot, store] {
                                                           if (const WatcherPtr w = slot->lock())
                                                             caf::anon_send(store, room_atom{}, w);
                                                         },
                                                         [place, slot, store] {
                                                           if (const WatcherPtr w = slot->lock())
                                                             caf::anon_send(store, leave_atom{}, w);
                                                         }});
  const auto watcher = std::make_shared<const Watcher>(
      Watcher{[call, message_of](const ValidBlock& b) { call->push(message_of(b)); }, [call] { call->push({}); },
              [call] {
                call->close({grpc::StatusCode::UNAVAILABLE, "shutting down"});
              },
              wants});
  *slot = watcher;
  caf::anon_send(store, join_atom{}, watcher);
  return call.get();
}

/// A block from outside: checked like any other, then sent to the network.
struct Publication {
  gossip_block::PayloadVersion version;
  std::shared_ptr<const Bytes> message;
  absl::Time received;
  std::shared_ptr<grpc_kit::UnaryCall<v1::PublishBlockResponse>> call;

  /// nullopt: publish the block.
  static std::optional<grpc::Status> refusal_of(const gossip_block::Checked& c) {
    if (c.rule == gossip_block::Failure::none) return std::nullopt;
    if (c.rule == gossip_block::Failure::seen)
      return grpc::Status{grpc::StatusCode::ALREADY_EXISTS, "the block was seen before"};
    return grpc::Status{grpc::StatusCode::INVALID_ARGUMENT,
                        absl::StrCat("rule ", gossip_block::name(c.rule), ": ", c.why)};
  }
  void on_checked(const gossip_block::Checked& c, Network& network) const {
    if (auto refused = refusal_of(c)) return call->fail(*std::move(refused));
    network.publish(static_cast<std::size_t>(version) - 1, message,
                    [call = call, payload = c.payload](const absl::StatusOr<std::size_t>& sent) {
                      if (!sent.ok()) return call->fail(wire::to_grpc(sent.status()));
                      v1::PublishBlockResponse out;
                      *out.mutable_block() = wire::to_proto(payload->ref());
                      out.set_peers(static_cast<std::uint32_t>(*sent));
                      call->finish(std::move(out));
                    });
  }
};

}  // namespace

grpc::ServerWriteReactor<v1::WatchBlocksResponse>* GossipService::WatchBlocks(grpc::CallbackServerContext*,
                                                                              const v1::WatchBlocksRequest*) {
  return watch<v1::WatchBlocksResponse>(watchers_, parts_.store, Watcher::Wants::all, [](const ValidBlock& b) {
    v1::WatchBlocksResponse message;
    *message.mutable_block() = to_proto(b);
    return message;
  });
}

grpc::ServerWriteReactor<v1::WatchPayloadsResponse>* GossipService::WatchPayloads(grpc::CallbackServerContext*,
                                                                                  const v1::WatchPayloadsRequest*) {
  return watch<v1::WatchPayloadsResponse>(watchers_, parts_.store, Watcher::Wants::newest, [](const ValidBlock& b) {
    v1::WatchPayloadsResponse message;
    *message.mutable_payload() = wire::to_proto(*b.payload);
    return message;
  });
}

grpc::ServerUnaryReactor* GossipService::PublishBlock(grpc::CallbackServerContext* context,
                                                      const v1::PublishBlockRequest* req,
                                                      v1::PublishBlockResponse* resp) {
  const std::string& message = req->message();
  if (message.empty() || message.size() > gossip_block::kMaxMessage)
    return grpc_kit::answer(context, {grpc::StatusCode::INVALID_ARGUMENT, "message: 1 byte to 10 MiB"});
  if (req->version() > 4)
    return grpc_kit::answer(context,
                            {grpc::StatusCode::INVALID_ARGUMENT, "version: 1 to 4, or 0 for the one in force"});
  const absl::Time now = absl::Now();
  const auto version =
      req->version() != 0
          ? static_cast<gossip_block::PayloadVersion>(req->version())
          : gossip_block::version_at(*parts_.facts.config, static_cast<std::uint64_t>(absl::ToUnixSeconds(now)));
  const BytesView bytes = as_bytes(message);
  const auto call = grpc_kit::UnaryCall<v1::PublishBlockResponse>::make(resp);
  const Publication block{version, std::make_shared<const Bytes>(bytes.begin(), bytes.end()), now, call};
  parts_.system->spawn([block, validator = parts_.validator, network = parts_.network](caf::event_based_actor* self) {
    auto body = gossip_block::decompress(*block.message);
    self->become(
        [self, block, network](checked_atom, const CheckedPtr& c) {
          block.on_checked(*c, *network);
          self->quit();
        },
        caf::after(kValidation) >>
            [self, block] {
              block.call->fail({grpc::StatusCode::UNAVAILABLE, "the block could not be checked in time"});
              self->quit();
            });
    validator->submit({block.version, body.ok() ? std::make_shared<const Bytes>(*std::move(body)) : nullptr, "",
                       block.received, [to = caf::actor{self}](const gossip_block::Checked& c, gossip_block::Result) {
                         caf::anon_send(to, checked_atom{},
                                        CheckedPtr{std::make_shared<const gossip_block::Checked>(c)});
                       }});
  });
  return call.get();
}

v1::GetNodeResponse GossipService::node(const Network::View& network) const {
  v1::GetNodeResponse resp;
  for (const auto& a : network.addresses) {
    resp.add_addresses(a.to_string());
    if (a.peer) resp.set_peer_id(a.peer->to_string());
  }
  const NodeFacts& facts = parts_.facts;
  resp.set_enr(facts.enr ? facts.enr() : "");
  for (const auto& s : parts_.validator->signers()) resp.add_signers(to_string(s.view()));
  resp.set_signer_source(facts.signer_source());
  resp.set_peers(static_cast<std::uint32_t>(network.peers.size()));
  resp.set_discovered(static_cast<std::uint32_t>(facts.discovered ? facts.discovered() : 0));
  if (const ValidBlockPtr last = *parts_.last->get()) *resp.mutable_last_block() = to_proto(*last);
  resp.set_penalties_suspended(parts_.validator->doubt());
  return resp;
}

grpc::ServerUnaryReactor* GossipService::GetNode(grpc::CallbackServerContext*, const v1::GetNodeRequest*,
                                                 v1::GetNodeResponse* resp) {
  const auto call = grpc_kit::UnaryCall<v1::GetNodeResponse>::make(resp);
  parts_.network->look([this, call](const Network::View& v) { call->finish(node(v)); });
  return call.get();
}

v1::ListPeersResponse GossipService::peers(const Network::View& network) const {
  v1::ListPeersResponse resp;
  const auto topics = gossip_block::topic_names(parts_.facts.config->l2_chain_id);
  const absl::Time now = absl::Now();
  for (const auto& p : network.peers) {
    auto& out = *resp.add_peers();
    out.set_peer_id(p.id.to_string());
    out.set_address(p2p::to_string(p.address));
    out.set_direction(p.outbound ? v1::PEER_DIRECTION_OUTBOUND : v1::PEER_DIRECTION_INBOUND);
    out.set_agent(p.agent);
    for (const auto& protocol : p.protocols) out.add_protocols(protocol);
    out.set_latency_ms(absl::ToDoubleMilliseconds(p.latency));
    out.set_connected_s(std::max(0.0, absl::ToDoubleSeconds(now - p.connected_at)));
    out.set_static_(p.is_static);
    for (const auto& t : p.gossip.topics) out.add_topics(version_of(topics, t));
    for (const auto& t : p.gossip.mesh) out.add_mesh(version_of(topics, t));
    out.set_score(p.gossip.score);
    out.set_application_score(p.gossip.app);
    out.set_behaviour_penalty(p.gossip.behaviour);
    out.set_ip_colocation(p.gossip.colocation);
    out.set_accepted(p.gossip.accepted);
    out.set_rejected(p.gossip.rejected);
    out.set_duplicates(p.gossip.duplicates);
  }
  return resp;
}

grpc::ServerUnaryReactor* GossipService::ListPeers(grpc::CallbackServerContext*, const v1::ListPeersRequest*,
                                                   v1::ListPeersResponse* resp) {
  const auto call = grpc_kit::UnaryCall<v1::ListPeersResponse>::make(resp);
  parts_.network->look([this, call](const Network::View& v) { call->finish(peers(v)); });
  return call.get();
}

grpc::ServerUnaryReactor* GossipService::BanPeer(grpc::CallbackServerContext*, const v1::BanPeerRequest* req,
                                                 v1::BanPeerResponse* resp) {
  // A longer ban would overflow the numbers in the file.
  const absl::Duration d =
      req->seconds() == 0 ? kDefaultBan : absl::Seconds(std::min<std::uint64_t>(req->seconds(), 3'000'000'000));
  const auto call = grpc_kit::UnaryCall<v1::BanPeerResponse>::make(resp);
  parts_.network->ban(req->target(), d, req->reason().empty() ? "banned by an operator" : req->reason(),
                      finish_with_status(call));
  return call.get();
}

grpc::ServerUnaryReactor* GossipService::UnbanPeer(grpc::CallbackServerContext*, const v1::UnbanPeerRequest* req,
                                                   v1::UnbanPeerResponse* resp) {
  const auto call = grpc_kit::UnaryCall<v1::UnbanPeerResponse>::make(resp);
  parts_.network->unban(req->target(), finish_with_status(call));
  return call.get();
}

grpc::ServerUnaryReactor* GossipService::ListBans(grpc::CallbackServerContext*, const v1::ListBansRequest*,
                                                  v1::ListBansResponse* resp) {
  const auto call = grpc_kit::UnaryCall<v1::ListBansResponse>::make(resp);
  parts_.network->bans([call](const std::vector<Ban>& bans) {
    v1::ListBansResponse all;
    for (const auto& b : bans) {
      auto& out = *all.add_bans();
      out.set_target(b.target);
      out.set_until(static_cast<std::uint64_t>(absl::ToUnixSeconds(b.until)));
      out.set_reason(b.reason);
    }
    call->finish(std::move(all));
  });
  return call.get();
}

grpc::ServerUnaryReactor* GossipService::ConnectPeer(grpc::CallbackServerContext* context,
                                                     const v1::ConnectPeerRequest* req, v1::ConnectPeerResponse* resp) {
  const auto address = p2p::Multiaddr::parse(req->address());
  if (!address.ok()) return grpc_kit::answer(context, wire::to_grpc(address.status()));
  if (!address->peer)
    return grpc_kit::answer(context, {grpc::StatusCode::INVALID_ARGUMENT, "the multiaddr has no /p2p/PEER-ID"});
  const auto call = grpc_kit::UnaryCall<v1::ConnectPeerResponse>::make(resp);
  parts_.network->connect(*address, finish_with_status(call));
  return call.get();
}

grpc::ServerUnaryReactor* GossipPayloadService::GetPayload(grpc::CallbackServerContext* context,
                                                           const v1::GetPayloadRequest* req,
                                                           v1::GetPayloadResponse* resp) {
  const auto hash = wire::hash_from(req->block_hash(), "block_hash");
  if (!hash.ok()) return grpc_kit::answer(context, wire::to_grpc(hash.status()));
  const auto call = grpc_kit::UnaryCall<v1::GetPayloadResponse>::make(resp);
  system_.spawn(
      [call, store = store_, hash = HashPtr{std::make_shared<const Hash32>(*hash)}](caf::event_based_actor* self) {
        self->request(store, caf::infinite, find_atom{}, hash)
            .then(
                [call](const ValidBlockPtr& block) {
                  if (!block)
                    return call->fail(
                        {grpc::StatusCode::NOT_FOUND, "the block is not among the recent ones of the p2p network"});
                  v1::GetPayloadResponse out;
                  *out.mutable_payload() = wire::to_proto(*block->payload);
                  out.set_endpoint(kEndpoint);
                  call->finish(std::move(out));
                },
                [call](const caf::error&) {
                  call->fail({grpc::StatusCode::UNAVAILABLE, "shutting down"});
                });
      });
  return call.get();
}

grpc::ServerWriteReactor<v1::StreamPayloadsResponse>* GossipPayloadService::StreamPayloads(
    grpc::CallbackServerContext*, const v1::StreamPayloadsRequest* req) {
  auto place = std::make_shared<wire::Watchers::Place>(readers_.take());
  if (!*place) return grpc_kit::refuse<v1::StreamPayloadsResponse>(readers_.refusal());
  const auto parent = wire::from_proto(req->parent());
  if (!parent.ok()) return grpc_kit::refuse<v1::StreamPayloadsResponse>(wire::to_grpc(parent.status()));
  const auto tip = wire::from_proto(req->tip());
  if (!tip.ok()) return grpc_kit::refuse<v1::StreamPayloadsResponse>(wire::to_grpc(tip.status()));
  return send_payloads(system_, store_, {*parent, *tip}, std::move(place));
}

}  // namespace towline::gossip
