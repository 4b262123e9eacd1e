#include "libs/p2p/gossipsub.hpp"

#include <algorithm>

#include "libs/base/status.hpp"

namespace towline::p2p {
namespace {

using Control = GossipRpcWriter::Control;

// op-node's values, unless a comment says otherwise.
constexpr double kGossipFactor = 0.25;
constexpr int kServeTimes = 3;
constexpr std::size_t kMaxIhaveIds = 5000;
constexpr int kMaxIhaveMessages = 10;
/// A GRAFT so soon after our PRUNE is deliberate and costs a second penalty.
constexpr absl::Duration kGraftFlood = absl::Seconds(10);
constexpr std::uint64_t kBackoffExpiryHeartbeats = 15;
constexpr std::size_t kIdontwantSize = 1024, kMaxIdontwantIds = 1000;
constexpr std::uint64_t kIdontwantHeartbeats = 3;
/// Bytes of answers to IWANT for one peer between two heartbeats.
constexpr std::size_t kMaxServedBytes = 16U << 20U;
constexpr std::size_t kMaxServed = 1024;
/// A message costs one token, and one more for each 64 KiB of its decoded size. It is charged twice: for its id, which
/// needs a decompression, and for its validation, which checks a signature and hashes.
constexpr double kBytesPerToken = 65536;

SharedBytes frame_of(const Bytes& rpc) {
  Bytes frame;
  frame.reserve(rpc.size() + 10);
  append_delimited(rpc, frame);
  return std::make_shared<const Bytes>(std::move(frame));
}

}  // namespace

Gossipsub::Gossipsub(Params params, std::vector<std::string> topics, Codec codec, Handler& handler, std::uint64_t seed)
    : params_{params},
      topics_{std::move(topics)},
      codec_{std::move(codec)},
      handler_{handler},
      random_{seed},
      mesh_(topics_.size()),
      backoff_{[this](const PeerId& p) { return peers_.contains(p); }},
      pending_{params_.max_pending, params_.max_pending_bytes},
      cache_{params_.max_cache_bytes} {}

std::optional<std::size_t> Gossipsub::topic_index(absl::string_view topic) const {
  for (std::size_t i = 0; i < topics_.size(); ++i)
    if (topics_[i] == topic) return i;
  return std::nullopt;
}

// ----------------------------------------------------------------------- peers

void Gossipsub::add_peer(const PeerId& peer, bool outbound, const Ip& ip, absl::Time now) {
  const auto [it, added] = peers_.try_emplace(peer);
  if (!added) return;
  it->second.outbound = outbound;
  score_.add_peer(peer, ip, now);
}

void Gossipsub::peer_writable(const PeerId& peer, Version version) {
  const auto it = peers_.find(peer);
  if (it == peers_.end()) return;
  it->second.version = version;
  Bytes rpc;
  for (const auto& t : topics_) GossipRpcWriter::subscription(t, true, rpc);
  handler_.send(peer, frame_of(rpc), false);
}

void Gossipsub::remove_peer(const PeerId& peer, absl::Time now) {
  if (peers_.erase(peer) == 0) return;
  score_.remove_peer(peer, now);
  promises_.remove_peer(peer);
  for (auto& m : mesh_) m.erase(peer);
}

bool Gossipsub::subscribed(const PeerId& peer) const {
  const auto it = peers_.find(peer);
  return it != peers_.end() && it->second.topics != 0;
}

Gossipsub::PeerView Gossipsub::view(const PeerId& peer) const {
  PeerView out;
  const auto it = peers_.find(peer);
  if (it == peers_.end()) return out;
  const Peer& p = it->second;
  for (std::size_t t = 0; t < topics_.size(); ++t) {
    if (p.subscribed(t)) out.topics.push_back(topics_[t]);
    if (mesh_[t].contains(peer)) out.mesh.push_back(topics_[t]);
  }
  const PeerScore::Parts parts = score_.parts(peer);
  out.score = parts.score();
  out.app = parts.app;
  out.behaviour = parts.behaviour;
  out.colocation = parts.colocation;
  out.accepted = p.accepted;
  out.rejected = p.rejected;
  out.duplicates = p.duplicates;
  return out;
}

std::vector<PeerId> Gossipsub::candidates(std::size_t topic, double least_score) {
  std::vector<PeerId> out;
  for (const auto& [id, p] : peers_) {
    if (p.version && *p.version != Version::floodsub && p.subscribed(topic) && !mesh_[topic].contains(id) &&
        score_.score(id) >= least_score)
      out.push_back(id);
  }
  // The order of the map differs from run to run. Sorting first makes the result depend on the seed alone.
  std::sort(out.begin(), out.end());
  std::shuffle(out.begin(), out.end(), random_);
  return out;
}

// ------------------------------------------------------------------------ RPCs

absl::Status Gossipsub::on_rpc(const PeerId& from, BytesView bytes, absl::Time now) {
  const auto it = peers_.find(from);
  if (it == peers_.end()) return absl::OkStatus();
  Peer& peer = it->second;
  TOWLINE_ASSIGN_OR_RETURN(const GossipRpc rpc, GossipRpc::parse(bytes));
  for (const auto& s : rpc.subscriptions) {
    const auto t = topic_index(s.topic);
    if (!t) continue;
    if (s.subscribe) {
      peer.topics |= 1ULL << *t;
    } else {
      peer.topics &= ~(1ULL << *t);
      mesh_[*t].erase(from);
    }
  }
  if (score_.score(from) < params_.graylist_threshold) {
    ++stats_.graylisted;
    return absl::OkStatus();
  }
  // IDONTWANT comes before the messages: one in the same RPC must not be sent back.
  for (const auto& id : rpc.dont_want) {
    const auto m = MessageId::from(id);
    if (m && ++peer.unwanted_ids <= kMaxIdontwantIds) peer.unwanted[*m] = heartbeats_ + kIdontwantHeartbeats;
  }
  for (const auto& m : rpc.messages) on_message(from, peer, m, now);
  Control reply;
  for (const auto& h : rpc.have) on_ihave(from, peer, h, reply, now);
  for (const auto& t : rpc.graft) on_graft(from, peer, t, reply, now);
  for (const auto& p : rpc.prune) on_prune(from, p, now);
  send_control(from, reply, false);
  if (!rpc.want.empty()) on_iwant(from, peer, rpc.want);
  return absl::OkStatus();
}

void Gossipsub::on_message(const PeerId& from, Peer& peer, const GossipRpc::Message& m, absl::Time now) {
  ++stats_.received;
  const auto topic = topic_index(m.topic);
  if (!topic) {
    ++stats_.unknown_topic;
    return;
  }
  if (m.is_signed) {
    ++stats_.refused_signed;
    return on_invalid(from, peer);
  }
  // Copies are charged, too: the id of a copy costs as much as that of a new message.
  const std::size_t size = std::max(m.data.size(), codec_.size(m.data));
  const double cost = 1 + static_cast<double>(size) / kBytesPerToken;
  if (!peer.messages.take(cost, now)) {
    ++stats_.throttled;
    return;
  }
  const Identified known = codec_.identify(topics_[*topic], m.data);
  promises_.delivered(from, known.id);
  if (seen_.contains(known.id)) {
    ++stats_.duplicates;
    ++peer.duplicates;
    if (seen_.is_rejected(known.id)) on_invalid(from, peer);
    return pending_.add_sender(known.id, from);
  }
  // A message that is dropped here does not count as seen, so another peer may still bring it.
  const std::size_t bytes = m.data.size() + (known.body ? known.body->size() : 0);
  if (!pending_.has_room(from, bytes) || !peer.validations.take(cost, now)) {
    ++stats_.throttled;
    return;
  }
  seen_.add(known.id, now);
  if (m.data.size() >= kIdontwantSize) send_idontwant(*topic, known.id, from);
  auto data = std::make_shared<const Bytes>(m.data.begin(), m.data.end());
  pending_.add(known.id, *topic, data, bytes, from, now);
  handler_.validate({known.id, *topic, std::move(data), known.body, from, now});
}

void Gossipsub::on_graft(const PeerId& from, Peer& peer, absl::string_view name, Control& reply, absl::Time now) {
  const auto topic = topic_index(name);
  if (!topic || mesh_[*topic].contains(from)) return;
  const absl::Duration backoff_left = backoff_.left_for_peer(*topic, from, now);
  if (backoff_left > absl::ZeroDuration()) {
    score_.add_penalty(from);
    if (backoff_left > BackoffTable::kDefault - kGraftFlood) score_.add_penalty(from);
  }
  if (backoff_left > absl::ZeroDuration() || !mesh_[*topic].admits(score_.score(from), peer.outbound, params_)) {
    ++stats_.grafts_refused;
    return announce_prune(from, *topic, reply, now);
  }
  // A GRAFT implies a subscription, which may have been lost.
  peer.topics |= 1ULL << *topic;
  mesh_[*topic].insert(from);
  ++stats_.grafts;
}

void Gossipsub::on_prune(const PeerId& from, const GossipRpc::Prune& p, absl::Time now) {
  const auto topic = topic_index(p.topic);
  if (!topic) return;
  if (mesh_[*topic].erase(from)) ++stats_.prunes;
  const auto backoff =
      p.backoff_s ? absl::Seconds(std::min(*p.backoff_s, BackoffTable::kLongestSeconds)) : BackoffTable::kDefault;
  backoff_.add(*topic, from, backoff, now);
}

void Gossipsub::on_ihave(const PeerId& from, Peer& peer, const GossipRpc::Have& have, Control& reply, absl::Time now) {
  if (!topic_index(have.topic) || score_.score(from) < params_.gossip_threshold) return;
  if (++peer.ihave_messages > kMaxIhaveMessages) return;
  std::vector<BytesView> ids = have.ids;
  std::shuffle(ids.begin(), ids.end(), random_);
  std::optional<MessageId> promise;
  for (const auto& id : ids) {
    if (peer.asked_ids >= kMaxIhaveIds) break;
    const auto m = MessageId::from(id);
    if (!m || seen_.contains(*m) || !promises_.may_ask(from, *m, now)) continue;
    ++peer.asked_ids;
    reply.want.push_back(id);
    promises_.asked(*m, now);
    if (!promise) promise = m;
  }
  if (!promise) return;
  ++stats_.iwant_sent;
  promises_.add(from, *promise, now);
}

void Gossipsub::on_iwant(const PeerId& from, Peer& peer, const std::vector<BytesView>& ids) {
  if (score_.score(from) < params_.gossip_threshold) return;
  for (const auto& id : ids) {
    const auto m = MessageId::from(id);
    const SharedBytes frame = m ? cache_.get(*m) : nullptr;
    if (!frame || peer.served_bytes > kMaxServedBytes || peer.served.size() >= kMaxServed) continue;
    if (++peer.served[*m] > kServeTimes) continue;
    peer.served_bytes += frame->size();
    handler_.send(from, frame, true);
    ++stats_.iwant_served;
  }
}

void Gossipsub::on_invalid(const PeerId& id, Peer& peer) {
  ++peer.rejected;
  score_.invalid_message(id);
}

// -------------------------------------------------------------------- messages

void Gossipsub::validated(const MessageId& id, Verdict verdict) {
  const auto entry = pending_.take(id);
  if (!entry) return;
  switch (verdict) {
    case Verdict::ignore: ++stats_.ignored; return;
    case Verdict::reject:
      ++stats_.rejected;
      seen_.mark_rejected(id);
      for (const auto& from : entry->senders)
        if (const auto peer = peers_.find(from); peer != peers_.end()) on_invalid(from, peer->second);
      return;
    case Verdict::accept: break;
  }
  ++stats_.accepted;
  const PeerId& first = entry->senders.front();
  score_.first_delivery(first);
  if (const auto peer = peers_.find(first); peer != peers_.end()) ++peer->second.accepted;
  const SharedBytes frame = message_frame(entry->topic, *entry->data);
  cache_.put(id, entry->topic, frame);
  forward(entry->topic, id, frame, entry->senders);
}

bool Gossipsub::publish(std::size_t topic, BytesView data, absl::Time now) {
  const MessageId id = codec_.identify(topics_[topic], data).id;
  if (seen_.contains(id)) return false;
  seen_.add(id, now);
  const SharedBytes frame = message_frame(topic, data);
  cache_.put(id, topic, frame);
  if (params_.flood_publish || mesh_[topic].size() == 0) {
    auto others = candidates(topic, params_.publish_threshold);
    if (!params_.flood_publish && others.size() > static_cast<std::size_t>(params_.d))
      others.resize(static_cast<std::size_t>(params_.d));
    for (const auto& p : others) handler_.send(p, frame, true);
    stats_.forwarded += others.size();
  }
  forward(topic, id, frame, {});
  return true;
}

void Gossipsub::forward(std::size_t topic, const MessageId& id, const SharedBytes& frame,
                        const std::vector<PeerId>& except) {
  const auto send = [&](const PeerId& to, const Peer& peer) {
    if (std::find(except.begin(), except.end(), to) != except.end()) return;
    if (peer.unwanted.contains(id)) {
      ++stats_.idontwant_honoured;
      return;
    }
    handler_.send(to, frame, true);
    ++stats_.forwarded;
  };
  for (const auto& member : mesh_[topic].members()) send(member, peers_.at(member));
  for (const auto& [peer_id, peer] : peers_)
    if (peer.version == Version::floodsub && peer.subscribed(topic) &&
        score_.score(peer_id) >= params_.publish_threshold)
      send(peer_id, peer);
}

// ------------------------------------------------------------------- heartbeat

void Gossipsub::on_heartbeat(absl::Time now) {
  ++heartbeats_;
  score_.on_heartbeat(now);
  for (const auto& peer : promises_.expire(seen_, now)) {
    ++stats_.broken_promises;
    score_.add_penalty(peer);
  }
  stats_.ignored += pending_.expire(now);
  seen_.expire(now);
  cache_.shift();
  for (auto& [id, peer] : peers_) expire_peer_state(id, peer);
  if (heartbeats_ % kBackoffExpiryHeartbeats == 0) backoff_.expire(now);
  Controls out;
  for (std::size_t t = 0; t < topics_.size(); ++t) {
    maintain(t, out, now);
    emit_gossip(t, out);
  }
  for (const auto& [peer, c] : out) send_control(peer, c, c.graft.empty() && c.prune.empty());
}

void Gossipsub::expire_peer_state(const PeerId& id, Peer& peer) {
  peer.ihave_messages = 0;
  peer.asked_ids = peer.unwanted_ids = peer.served_bytes = 0;
  absl::erase_if(peer.unwanted, [&](const auto& u) { return u.second < heartbeats_; });
  absl::erase_if(peer.served, [&](const auto& s) { return !cache_.contains(s.first); });
  if (peer.reported_bad) return;
  if (const double score = score_.score(id); score < params_.ban_threshold || score_.too_many_invalid_messages(id)) {
    peer.reported_bad = true;
    handler_.on_bad_score(id, score);
  }
}

void Gossipsub::maintain(std::size_t topic, Controls& out, absl::Time now) {
  const Mesh::Peers peers{[&](const PeerId& p) { return score_.score(p); },
                          [&](const PeerId& p) { return peers_.at(p).outbound; },
                          [&] {
                            auto some = candidates(topic, 0);
                            std::erase_if(some, [&](const auto& p) { return backoff_.active(topic, p, now); });
                            return some;
                          }};
  const Mesh::Changes changes = mesh_[topic].maintain(params_, peers, random_);
  for (const auto& p : changes.pruned) announce_prune(p, topic, out[p], now);
  for (const auto& p : changes.grafted) out[p].graft.push_back(topics_[topic]);
  stats_.grafts += changes.grafted.size();
}

void Gossipsub::emit_gossip(std::size_t topic, Controls& out) {
  const std::vector<BytesView> ids = cache_.gossip_ids(topic, kMaxIhaveIds);
  if (ids.empty()) return;
  auto peers = candidates(topic, params_.gossip_threshold);
  const auto n = std::max<std::size_t>(static_cast<std::size_t>(params_.d_lazy),
                                       static_cast<std::size_t>(kGossipFactor * static_cast<double>(peers.size())));
  if (peers.size() > n) peers.resize(n);
  for (const auto& p : peers) {
    out[p].have.push_back({topics_[topic], ids});
    ++stats_.ihave_sent;
  }
}

// --------------------------------------------------------------------- sending

void Gossipsub::announce_prune(const PeerId& peer, std::size_t topic, Control& c, absl::Time now) {
  backoff_.add(topic, peer, BackoffTable::kDefault, now);
  const auto p = peers_.find(peer);
  const bool knows_backoff = p != peers_.end() && p->second.version != Version::v1_0;
  c.prune.push_back(
      {topics_[topic], knows_backoff ? std::optional{absl::ToInt64Seconds(BackoffTable::kDefault)} : std::nullopt});
  ++stats_.prunes;
}

void Gossipsub::send_idontwant(std::size_t topic, const MessageId& id, const PeerId& from) {
  Control c;
  c.dont_want.push_back(id.view());
  for (const auto& member : mesh_[topic].members()) {
    if (member == from || peers_.at(member).version != Version::v1_2) continue;
    send_control(member, c, true);
    ++stats_.idontwant_sent;
  }
}

void Gossipsub::send_control(const PeerId& to, const Control& c, bool droppable) {
  const auto it = peers_.find(to);
  if (c.empty() || it == peers_.end() || !it->second.version || *it->second.version == Version::floodsub) return;
  Bytes rpc;
  GossipRpcWriter::control(c, rpc);
  handler_.send(to, frame_of(rpc), droppable);
}

SharedBytes Gossipsub::message_frame(std::size_t topic, BytesView data) const {
  Bytes rpc;
  rpc.reserve(data.size() + topics_[topic].size() + 32);
  GossipRpcWriter::message(topics_[topic], data, rpc);
  return frame_of(rpc);
}

}  // namespace towline::p2p
