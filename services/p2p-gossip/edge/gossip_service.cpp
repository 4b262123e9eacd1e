#include "services/p2p-gossip/edge/gossip_service.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <future>

#include "libs/base/steady_time.hpp"
#include "libs/telemetry/log.hpp"
#include "libs/wire/convert.hpp"

namespace towline::gossip {
namespace {

/// How often a stream without news says that it lives.
constexpr auto kAlive = std::chrono::seconds{2};
constexpr auto kValidation = std::chrono::seconds{10};
constexpr absl::Duration kDefaultBan = absl::Hours(1);
constexpr const char* kEndpoint = "p2p-gossip";

v1::GossipBlock to_proto(const ValidBlock& b) {
  v1::GossipBlock out;
  *out.mutable_block() = wire::to_proto(b.payload->ref());
  out.set_signer(to_string(b.signer.view()));
  out.set_signature(to_string(b.signature.view()));
  out.set_received_at_ms(static_cast<std::uint64_t>(absl::ToUnixMillis(b.received)));
  out.set_peer_id(b.peer);
  return out;
}

/// The versions 1 .. 4 of block topics.
std::uint32_t version_of(const std::vector<std::string>& all, const std::string& topic) {
  return static_cast<std::uint32_t>(std::find(all.begin(), all.end(), topic) - all.begin()) + 1;
}

}  // namespace

grpc::Status GossipService::WatchBlocks(grpc::ServerContext* ctx, const v1::WatchBlocksRequest*,
                                        grpc::ServerWriter<v1::WatchBlocksResponse>* out) {
  const auto place = watchers_.take();
  if (!place) return watchers_.refusal();
  std::uint64_t next = 0;
  absl::Time said = absl::InfinitePast();
  while (!ctx->IsCancelled() && !board_.stopped()) {
    const auto blocks = board_.wait(next, std::chrono::milliseconds{200});
    v1::WatchBlocksResponse message;
    for (const auto& b : blocks) {
      *message.mutable_block() = to_proto(*b);
      if (!out->Write(message)) return grpc::Status::OK;
      said = steady_now();
    }
    if (!blocks.empty() || steady_now() - said < absl::FromChrono(kAlive)) continue;
    message.clear_block();
    if (!out->Write(message)) return grpc::Status::OK;
    said = steady_now();
  }
  return {grpc::StatusCode::UNAVAILABLE, "shutting down"};
}

grpc::Status GossipService::PublishBlock(grpc::ServerContext*, const v1::PublishBlockRequest* req,
                                         v1::PublishBlockResponse* resp) {
  const std::string& message = req->message();
  if (message.empty() || message.size() > gossip_block::kMaxMessage)
    return {grpc::StatusCode::INVALID_ARGUMENT, "message: 1 byte to 10 MiB"};
  if (req->version() > 4) return {grpc::StatusCode::INVALID_ARGUMENT, "version: 1 to 4, or 0 for the one in force"};
  const absl::Time now = absl::Now();
  const auto version = req->version() != 0 ? static_cast<gossip_block::PayloadVersion>(req->version())
                                           : gossip_block::version_at(
                                                 *facts_.config, static_cast<std::uint64_t>(absl::ToUnixSeconds(now)));
  auto body = gossip_block::decompress(as_bytes(message));
  auto promise = std::make_shared<std::promise<gossip_block::Checked>>();
  auto result = promise->get_future();
  validator_.submit({version, body.ok() ? std::make_shared<const Bytes>(*std::move(body)) : nullptr, "", now,
                     [promise](const gossip_block::Checked& c, gossip_block::Result) { promise->set_value(c); }});
  if (result.wait_for(kValidation) != std::future_status::ready)
    return {grpc::StatusCode::UNAVAILABLE, "the block could not be checked in time"};
  const gossip_block::Checked c = result.get();
  if (c.rule == gossip_block::Failure::seen) return {grpc::StatusCode::ALREADY_EXISTS, "the block was seen before"};
  if (c.rule != gossip_block::Failure::none)
    return {grpc::StatusCode::INVALID_ARGUMENT, absl::StrCat("rule ", gossip_block::name(c.rule), ": ", c.why)};
  const auto sent = network_.publish(static_cast<std::size_t>(version) - 1, as_bytes(message));
  if (!sent.ok()) return wire::to_grpc(sent.status());
  *resp->mutable_block() = wire::to_proto(c.payload->ref());
  resp->set_peers(static_cast<std::uint32_t>(*sent));
  return grpc::Status::OK;
}

grpc::Status GossipService::GetNode(grpc::ServerContext*, const v1::GetNodeRequest*, v1::GetNodeResponse* resp) {
  for (const auto& a : network_.addresses()) {
    resp->add_addresses(a.to_string());
    if (a.peer) resp->set_peer_id(a.peer->to_string());
  }
  resp->set_enr(facts_.enr ? facts_.enr() : "");
  for (const auto& s : validator_.signers()) resp->add_signers(to_string(s.view()));
  resp->set_signer_source(facts_.signer_source());
  resp->set_peers(static_cast<std::uint32_t>(network_.peers().size()));
  resp->set_discovered(static_cast<std::uint32_t>(facts_.discovered ? facts_.discovered() : 0));
  if (const auto last = board_.last()) *resp->mutable_last_block() = to_proto(*last);
  resp->set_penalties_suspended(validator_.doubt());
  return grpc::Status::OK;
}

grpc::Status GossipService::ListPeers(grpc::ServerContext*, const v1::ListPeersRequest*, v1::ListPeersResponse* resp) {
  const auto topics = gossip_block::topic_names(facts_.config->l2_chain_id);
  const absl::Time now = absl::Now();
  for (const auto& p : network_.peers()) {
    auto& out = *resp->add_peers();
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
  return grpc::Status::OK;
}

grpc::Status GossipService::BanPeer(grpc::ServerContext*, const v1::BanPeerRequest* req, v1::BanPeerResponse*) {
  // More than a century would not fit into the file's numbers.
  const absl::Duration d =
      req->seconds() == 0 ? kDefaultBan : absl::Seconds(std::min<std::uint64_t>(req->seconds(), 3'000'000'000));
  return wire::to_grpc(network_.ban(req->target(), d, req->reason().empty() ? "banned by an operator" : req->reason()));
}

grpc::Status GossipService::UnbanPeer(grpc::ServerContext*, const v1::UnbanPeerRequest* req, v1::UnbanPeerResponse*) {
  return wire::to_grpc(network_.unban(req->target()));
}

grpc::Status GossipService::ListBans(grpc::ServerContext*, const v1::ListBansRequest*, v1::ListBansResponse* resp) {
  for (const auto& b : network_.bans()) {
    auto& out = *resp->add_bans();
    out.set_target(b.target);
    out.set_until(static_cast<std::uint64_t>(absl::ToUnixSeconds(b.until)));
    out.set_reason(b.reason);
  }
  return grpc::Status::OK;
}

grpc::Status GossipService::ConnectPeer(grpc::ServerContext*, const v1::ConnectPeerRequest* req,
                                        v1::ConnectPeerResponse*) {
  const auto address = p2p::Multiaddr::parse(req->address());
  if (!address.ok()) return wire::to_grpc(address.status());
  if (!address->peer) return {grpc::StatusCode::INVALID_ARGUMENT, "the multiaddr has no /p2p/PEER-ID"};
  return wire::to_grpc(network_.connect(*address));
}

grpc::Status GossipPayloadService::GetPayload(grpc::ServerContext*, const v1::GetPayloadRequest* req,
                                              v1::GetPayloadResponse* resp) {
  const auto hash = wire::hash_from(req->block_hash(), "block_hash");
  if (!hash.ok()) return wire::to_grpc(hash.status());
  const auto block = board_.find(*hash);
  if (!block) return {grpc::StatusCode::NOT_FOUND, "the block is not among the recent ones of the p2p network"};
  *resp->mutable_payload() = wire::to_proto(*block->payload);
  resp->set_endpoint(kEndpoint);
  return grpc::Status::OK;
}

grpc::Status GossipPayloadService::StreamPayloads(grpc::ServerContext*, const v1::StreamPayloadsRequest* req,
                                                  grpc::ServerWriter<v1::StreamPayloadsResponse>* out) {
  const auto place = readers_.take();
  if (!place) return readers_.refusal();
  const auto parent = wire::from_proto(req->parent());
  if (!parent.ok()) return wire::to_grpc(parent.status());
  const auto tip = wire::from_proto(req->tip());
  if (!tip.ok()) return wire::to_grpc(tip.status());
  const auto chain = board_.chain(*parent, *tip);
  if (chain.empty())
    return {grpc::StatusCode::NOT_FOUND, "the p2p network's recent blocks do not lead from the parent to the tip"};
  v1::StreamPayloadsResponse message;
  message.set_endpoint(kEndpoint);
  for (const auto& b : chain) {
    *message.mutable_payload() = wire::to_proto(*b->payload);
    if (!out->Write(message)) break;
  }
  return grpc::Status::OK;
}

}  // namespace towline::gossip
