#include "libs/p2p/gossipsub.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>

#include "libs/base/status.hpp"

namespace towline::p2p {
namespace {

using Control = GossipRpcWriter::Control;

// Where no other source is named these are op-node's values.
constexpr absl::Duration kSeenFor = absl::Seconds(65);
constexpr std::size_t kMaxSeen = 1U << 16U;
constexpr std::uint64_t kCacheTicks = 12, kGossipTicks = 3;
constexpr double kGossipFactor = 0.25;
constexpr int kServeTimes = 3;
constexpr std::size_t kMaxIhaveIds = 5000;
constexpr int kMaxIhaveMessages = 10;
constexpr absl::Duration kPromise = absl::Seconds(3);
/// Another who has it is asked when the first did not bring it at once; for so long that is remembered.
constexpr absl::Duration kAskOther = absl::Milliseconds(400);
constexpr std::size_t kMaxPromises = 64, kMaxAsked = 1U << 14U;
/// For a verdict. Without one the message is as good as dropped.
constexpr absl::Duration kVerdict = absl::Seconds(10);
constexpr absl::Duration kPruneBackoff = absl::Seconds(60);
/// What a peer may ask for; also keeps the arithmetic of times away from its number.
constexpr std::uint64_t kLongestBackoffS = 3600;
/// Peers count their back-off from when they got our PRUNE.
constexpr absl::Duration kBackoffSlack = absl::Seconds(2);
constexpr absl::Duration kGraftFlood = absl::Seconds(10);
constexpr std::size_t kMaxBackoffs = 8192;
constexpr std::uint64_t kOpportunisticTicks = 60;
constexpr double kOpportunisticThreshold = 0.05;
constexpr std::size_t kIdontwantSize = 1024, kMaxIdontwantIds = 1000;
constexpr std::uint64_t kIdontwantTicks = 3;
constexpr std::size_t kMaxSenders = 64;
/// Of answers to IWANT, to one peer between two heartbeats.
constexpr std::size_t kMaxServedBytes = 16U << 20U;
constexpr std::size_t kMaxServed = 1024;
/// A message costs one token and one more each 64 KiB that it decodes to, to be named and again to be validated: the
/// signature, and the hashing.
constexpr double kBytesPerToken = 65536;
/// Of what may wait for a verdict the last of so many shares is kept for peers of which nothing waits, and no peer has
/// more messages there than one share: a flood does not keep the others' out.
constexpr std::size_t kPendingShares = 4;

constexpr double kColocationWeight = -35;
constexpr int kColocationThreshold = 10;
constexpr double kBehaviourWeight = -16, kBehaviourThreshold = 6;
const double kDecay = std::pow(0.01, 1.0 / 60);
constexpr std::uint64_t kDecayTicks = 4;  // 2 s
constexpr double kDecayToZero = 0.01;
constexpr absl::Duration kRetainScore = absl::Seconds(1200);
constexpr std::size_t kMaxRetained = 4096;
/// Our own score: the first rejected message costs the place in the mesh, ten of them the hearing.
constexpr double kRejected = -4, kAccepted = 0.1, kMaxApp = 3;
/// So many rejected messages in about half a minute ban; a score alone would not, as who is not heard sinks no further.
constexpr double kBanRejected = 5;

}  // namespace

Gossipsub::Gossipsub(Params params, std::vector<std::string> topics, Codec codec, Handler& handler, std::uint64_t seed)
    : params_{params},
      topics_{std::move(topics)},
      codec_{std::move(codec)},
      handler_{handler},
      random_{seed},
      mesh_(topics_.size()) {}

std::optional<std::size_t> Gossipsub::topic_index(absl::string_view topic) const {
  for (std::size_t i = 0; i < topics_.size(); ++i)
    if (topics_[i] == topic) return i;
  return std::nullopt;
}

void Gossipsub::add_peer(const PeerId& peer, bool outbound, const Ip& ip, absl::Time now) {
  const auto [it, added] = peers_.try_emplace(peer);
  if (!added) return;
  it->second.outbound = outbound;
  it->second.ip = ip;
  ++peers_by_ip_[network_of(ip)];
  // Leaving and coming back does not make a bad name good.
  if (const auto r = retained_.find(peer); r != retained_.end()) {
    if (now < r->second.until) {
      it->second.app = r->second.app;
      it->second.behaviour = r->second.behaviour;
    }
    retained_.erase(r);
  }
}

void Gossipsub::peer_writable(const PeerId& peer, Version version) {
  const auto it = peers_.find(peer);
  if (it == peers_.end()) return;
  it->second.version = version;
  Bytes rpc;
  for (const auto& t : topics_) GossipRpcWriter::subscription(t, true, rpc);
  Bytes frame;
  append_delimited(rpc, frame);
  handler_.send(peer, std::make_shared<const Bytes>(std::move(frame)), false);
}

void Gossipsub::remove_peer(const PeerId& peer, absl::Time now) {
  const auto it = peers_.find(peer);
  if (it == peers_.end()) return;
  const Peer& p = it->second;
  if ((p.app < 0 || p.behaviour > 0) && retained_.size() < kMaxRetained)
    retained_[peer] = {p.behaviour, p.app, now + kRetainScore};
  if (const auto n = peers_by_ip_.find(network_of(p.ip)); --n->second == 0) peers_by_ip_.erase(n);
  for (auto& m : mesh_) m.erase(peer);
  peers_.erase(it);
}

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
  if (score_of(peer) < params_.graylist_threshold) {
    ++stats_.graylisted;
    return absl::OkStatus();
  }
  // Before the messages: what it asks not to get is not sent to it even if the same RPC brings it.
  for (const auto& id : rpc.dont_want) {
    const auto m = MessageId::from(id);
    if (m && ++peer.unwanted_ids <= kMaxIdontwantIds) peer.unwanted[*m] = tick_ + kIdontwantTicks;
  }
  for (const auto& m : rpc.messages) on_message(from, peer, m, now);
  Control reply;
  for (const auto& h : rpc.have) on_have(peer, h, reply, now);
  for (const auto& t : rpc.graft) on_graft(from, peer, t, reply, now);
  for (const auto& p : rpc.prune) on_prune(from, p, now);
  send_control(from, reply, false);
  if (!rpc.want.empty()) on_want(from, peer, rpc.want);
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
    punish_message(peer);
    return;
  }
  // The id costs a decompression, so even copies of known messages are counted.
  const std::size_t size = std::max(m.data.size(), codec_.size(m.data));
  const double cost = 1 + static_cast<double>(size) / kBytesPerToken;
  if (!peer.messages.take(cost, now)) {
    ++stats_.throttled;
    return;
  }
  const Identified known = codec_.identify(topics_[*topic], m.data);
  if (!peer.promises.empty()) {
    // A peer that names messages otherwise (kona once left out the topic) keeps its word with whatever it brings.
    const auto kept =
        std::find_if(peer.promises.begin(), peer.promises.end(), [&](const auto& p) { return p.first == known.id; });
    peer.promises.erase(kept == peer.promises.end() ? peer.promises.begin() : kept);
  }
  if (seen_.contains(known.id)) {
    ++stats_.duplicates;
    ++peer.duplicates;
    if (rejected_.contains(known.id)) punish_message(peer);
    if (const auto p = pending_.find(known.id); p != pending_.end() && p->second.from.size() < kMaxSenders)
      p->second.from.push_back(from);
    return;
  }
  // A message that is dropped here was not seen: another peer may still bring it.
  const std::size_t bytes = m.data.size() + (known.body ? known.body->size() : 0);
  if (!room_for(peer, bytes) || !peer.validations.take(cost, now)) {
    ++stats_.throttled;
    return;
  }
  see(known.id, now);
  if (m.data.size() >= kIdontwantSize) {
    Control c;
    c.dont_want.push_back(known.id.view());
    for (const auto& member : mesh_[*topic]) {
      if (member == from || peers_.at(member).version != Version::v1_2) continue;
      send_control(member, c, true);
      ++stats_.idontwant_sent;
    }
  }
  auto data = std::make_shared<const Bytes>(m.data.begin(), m.data.end());
  pending_[known.id] = {*topic, data, bytes, {from}, now + kVerdict};
  pending_bytes_ += bytes;
  ++peer.pending;
  handler_.validate({known.id, *topic, std::move(data), known.body, from, now});
}

void Gossipsub::validated(const MessageId& id, Verdict verdict, absl::Time) {
  const auto it = pending_.find(id);
  if (it == pending_.end()) return;
  const Pending p = settle(it);
  switch (verdict) {
    case Verdict::ignore: ++stats_.ignored; return;
    case Verdict::reject:
      ++stats_.rejected;
      rejected_.insert(id);
      for (const auto& from : p.from) {
        if (const auto peer = peers_.find(from); peer != peers_.end()) {
          punish_message(peer->second);
        }
      }
      return;
    case Verdict::accept: break;
  }
  ++stats_.accepted;
  if (const auto first = peers_.find(p.from.front()); first != peers_.end()) {
    ++first->second.accepted;
    first->second.app = std::min(kMaxApp, first->second.app + kAccepted);
  }
  const SharedBytes frame = message_frame(p.topic, *p.data);
  remember(id, p.topic, frame);
  forward(p.topic, id, frame, p.from);
}

Gossipsub::Pending Gossipsub::settle(absl::flat_hash_map<MessageId, Pending>::iterator it) {
  Pending p = std::move(it->second);
  pending_.erase(it);
  pending_bytes_ -= p.bytes;
  if (const auto first = peers_.find(p.from.front()); first != peers_.end() && first->second.pending > 0)
    --first->second.pending;
  return p;
}

bool Gossipsub::publish(std::size_t topic, BytesView data, absl::Time now) {
  const MessageId id = codec_.identify(topics_[topic], data).id;
  if (seen_.contains(id)) return false;
  see(id, now);
  const SharedBytes frame = message_frame(topic, data);
  remember(id, topic, frame);
  if (params_.flood_publish || mesh_[topic].empty()) {
    // Nobody is in the mesh yet, or flooding is wanted.
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
  const auto send = [&](const PeerId& to, Peer& peer) {
    if (std::find(except.begin(), except.end(), to) != except.end()) return;
    if (peer.unwanted.contains(id)) {
      ++stats_.idontwant_honoured;
      return;
    }
    handler_.send(to, frame, true);
    ++stats_.forwarded;
  };
  for (const auto& member : mesh_[topic]) send(member, peers_.at(member));
  for (auto& [id_of_peer, peer] : peers_)
    if (peer.version == Version::floodsub && (peer.topics >> topic & 1U) != 0 &&
        score_of(peer) >= params_.publish_threshold)
      send(id_of_peer, peer);
}

void Gossipsub::on_graft(const PeerId& from, Peer& peer, absl::string_view name, Control& reply, absl::Time now) {
  const auto topic = topic_index(name);
  if (!topic || mesh_[*topic].contains(from)) return;
  auto& mesh = mesh_[*topic];
  const auto refuse = [&] {
    ++stats_.grafts_refused;
    prune(from, *topic, reply, now);
  };
  if (const auto b = backoff_.find({*topic, from}); b != backoff_.end() && now < b->second - kBackoffSlack) {
    punish(peer.behaviour, 1);
    // Soon after the prune it is no misunderstanding.
    if (b->second - kBackoffSlack - now > kPruneBackoff - kGraftFlood) punish(peer.behaviour, 1);
    return refuse();
  }
  if (score_of(peer) < 0 || (mesh.size() >= static_cast<std::size_t>(params_.d_high) && !peer.outbound))
    return refuse();
  // A graft is also a subscription that got lost.
  peer.topics |= 1ULL << *topic;
  mesh.insert(from);
  ++stats_.grafts;
}

void Gossipsub::on_prune(const PeerId& from, const GossipRpc::Prune& p, absl::Time now) {
  const auto topic = topic_index(p.topic);
  if (!topic) return;
  if (mesh_[*topic].erase(from) > 0) ++stats_.prunes;
  back_off(from, *topic, p.backoff_s ? absl::Seconds(std::min(*p.backoff_s, kLongestBackoffS)) : kPruneBackoff, now);
}

void Gossipsub::on_have(Peer& peer, const GossipRpc::Have& have, Control& reply, absl::Time now) {
  if (!topic_index(have.topic) || score_of(peer) < params_.gossip_threshold) return;
  if (++peer.have_messages > kMaxIhaveMessages) return;
  std::vector<BytesView> ids = have.ids;
  std::shuffle(ids.begin(), ids.end(), random_);
  std::optional<MessageId> promise;
  for (const auto& id : ids) {
    if (peer.asked_ids >= kMaxIhaveIds) break;
    const auto m = MessageId::from(id);
    if (!m || seen_.contains(*m)) continue;
    if (const auto a = asked_.find(*m); a != asked_.end() && now - a->second < kAskOther) continue;
    if (std::any_of(peer.promises.begin(), peer.promises.end(), [&](const auto& p) { return p.first == *m; })) continue;
    ++peer.asked_ids;
    reply.want.push_back(id);
    if (asked_.size() < kMaxAsked) asked_[*m] = now;
    if (!promise) promise = m;
  }
  if (!promise) return;
  ++stats_.iwant_sent;
  if (peer.promises.size() < kMaxPromises) peer.promises.emplace_back(*promise, now + kPromise);
}

void Gossipsub::on_want(const PeerId& from, Peer& peer, const std::vector<BytesView>& ids) {
  if (score_of(peer) < params_.gossip_threshold) return;
  for (const auto& id : ids) {
    const auto m = MessageId::from(id);
    const auto c = m ? cache_index_.find(*m) : cache_index_.end();
    if (c == cache_index_.end() || peer.served_bytes > kMaxServedBytes || peer.served.size() >= kMaxServed) continue;
    if (++peer.served[*m] > kServeTimes) continue;
    peer.served_bytes += c->second->frame->size();
    handler_.send(from, c->second->frame, true);
    ++stats_.iwant_served;
  }
}

void Gossipsub::on_heartbeat(absl::Time now) {
  ++tick_;
  if (tick_ % kDecayTicks == 0) decay(now);
  judge_promises(now);
  for (auto p = pending_.begin(); p != pending_.end();) {
    const auto late = p++;
    if (now < late->second.until) continue;
    settle(late);
    ++stats_.ignored;
  }
  while (!seen_order_.empty() && now - seen_order_.front().first > kSeenFor) {
    seen_.erase(seen_order_.front().second);
    rejected_.erase(seen_order_.front().second);
    seen_order_.pop_front();
  }
  while (!cache_.empty() && cache_.front().tick + kCacheTicks < tick_) forget_oldest();
  for (auto& [id, peer] : peers_) {
    peer.have_messages = 0;
    peer.asked_ids = peer.unwanted_ids = peer.served_bytes = 0;
    absl::erase_if(peer.unwanted, [&](const auto& u) { return u.second < tick_; });
    absl::erase_if(peer.served, [&](const auto& s) { return !cache_index_.contains(s.first); });
    if (const double score = score_of(peer);
        (score < params_.ban_threshold || peer.invalid > kBanRejected - 1) && !peer.reported_bad) {
      peer.reported_bad = true;
      handler_.on_bad_score(id, score);
    }
  }
  if (tick_ % 15 == 0) absl::erase_if(backoff_, [&](const auto& b) { return b.second < now; });
  absl::flat_hash_map<PeerId, Control> out;
  for (std::size_t t = 0; t < topics_.size(); ++t) {
    maintain(t, out, now);
    emit_gossip(t, out);
  }
  for (const auto& [peer, c] : out) send_control(peer, c, c.graft.empty() && c.prune.empty());
}

void Gossipsub::judge_promises(absl::Time now) {
  for (auto& [id, peer] : peers_) {
    while (!peer.promises.empty() && now >= peer.promises.front().second) {
      // Who was faster has kept it for him.
      if (!seen_.contains(peer.promises.front().first)) {
        ++stats_.broken_promises;
        punish(peer.behaviour, 1);
      }
      peer.promises.pop_front();
    }
  }
  absl::erase_if(asked_, [&](const auto& a) { return now - a.second >= kPromise; });
}

void Gossipsub::maintain(std::size_t topic, absl::flat_hash_map<PeerId, Control>& out, absl::Time now) {
  auto& mesh = mesh_[topic];
  const auto size = [](int n) { return static_cast<std::size_t>(n); };
  for (const auto& p : std::vector<PeerId>{mesh.begin(), mesh.end()})
    if (score_of(peers_.at(p)) < 0) prune(p, topic, out[p], now);
  const auto is_outbound = [&](const PeerId& p) { return peers_.at(p).outbound; };
  const auto outbound = [&] { return static_cast<std::size_t>(std::count_if(mesh.begin(), mesh.end(), is_outbound)); };

  if (mesh.size() < size(params_.d_low)) {
    for (const auto& p : candidates(topic, 0)) {
      if (mesh.size() >= size(params_.d)) break;
      if (!backing_off(p, topic, now)) graft(p, topic, out[p]);
    }
  } else if (mesh.size() > size(params_.d_high)) {
    std::vector<PeerId> members{mesh.begin(), mesh.end()};
    std::shuffle(members.begin(), members.end(), random_);
    std::stable_sort(members.begin(), members.end(),
                     [&](const PeerId& a, const PeerId& b) { return score_of(peers_.at(a)) > score_of(peers_.at(b)); });
    std::shuffle(members.begin() + params_.d_score, members.end(), random_);
    // Enough of those that we chose ourselves come to the front part.
    const auto kept = members.begin() + params_.d;
    auto have = static_cast<int>(std::count_if(members.begin(), kept, is_outbound));
    for (auto spare = kept; spare != members.end() && have < params_.d_out; ++spare) {
      if (!is_outbound(*spare)) continue;
      const auto loser = std::find_if(std::make_reverse_iterator(kept), members.rend(),
                                      [&](const PeerId& p) { return !is_outbound(p); });
      std::iter_swap(spare, loser);
      ++have;
    }
    for (auto p = kept; p != members.end(); ++p) prune(*p, topic, out[*p], now);
  } else if (outbound() < size(params_.d_out)) {
    for (const auto& p : candidates(topic, 0)) {
      if (outbound() >= size(params_.d_out)) break;
      if (is_outbound(p) && !backing_off(p, topic, now)) graft(p, topic, out[p]);
    }
  }
  if (tick_ % kOpportunisticTicks == 0 && mesh.size() > 1) {
    std::vector<double> scores;
    for (const auto& p : mesh) scores.push_back(score_of(peers_.at(p)));
    std::nth_element(scores.begin(), scores.begin() + static_cast<std::ptrdiff_t>(scores.size() / 2), scores.end());
    const double median = scores[scores.size() / 2];
    int n = 0;
    if (median < kOpportunisticThreshold) {
      for (const auto& p : candidates(topic, 0)) {
        if (n == 2) break;
        if (score_of(peers_.at(p)) <= median || backing_off(p, topic, now)) continue;
        graft(p, topic, out[p]);
        ++n;
      }
    }
  }
}

void Gossipsub::emit_gossip(std::size_t topic, absl::flat_hash_map<PeerId, Control>& out) {
  std::vector<BytesView> ids;
  for (const auto& c : cache_)
    if (c.topic == topic && c.tick + kGossipTicks >= tick_ && ids.size() < kMaxIhaveIds) ids.push_back(c.id.view());
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

std::vector<PeerId> Gossipsub::candidates(std::size_t topic, double least_score) {
  std::vector<PeerId> out;
  for (const auto& [id, p] : peers_) {
    if (p.version && *p.version != Version::floodsub && (p.topics >> topic & 1U) != 0 && !mesh_[topic].contains(id) &&
        score_of(p) >= least_score)
      out.push_back(id);
  }
  // The map's order differs from run to run; a seed shall decide alone.
  std::sort(out.begin(), out.end());
  std::shuffle(out.begin(), out.end(), random_);
  return out;
}

void Gossipsub::graft(const PeerId& peer, std::size_t topic, Control& c) {
  mesh_[topic].insert(peer);
  c.graft.push_back(topics_[topic]);
  ++stats_.grafts;
}

void Gossipsub::prune(const PeerId& peer, std::size_t topic, Control& c, absl::Time now) {
  mesh_[topic].erase(peer);
  back_off(peer, topic, kPruneBackoff, now);
  const auto p = peers_.find(peer);
  const bool knows_backoff = p != peers_.end() && p->second.version != Version::v1_0;
  c.prune.push_back(
      {topics_[topic], knows_backoff ? std::optional{absl::ToInt64Seconds(kPruneBackoff)} : std::nullopt});
  ++stats_.prunes;
}

void Gossipsub::back_off(const PeerId& peer, std::size_t topic, absl::Duration d, absl::Time now) {
  if (backoff_.size() >= kMaxBackoffs) {
    // Strangers that leave must not push out what those who are here have asked for.
    absl::erase_if(backoff_, [&](const auto& b) { return b.second < now || !peers_.contains(b.first.second); });
  }
  const absl::Time until = now + d + kBackoffSlack;
  if (const auto it = backoff_.find({topic, peer}); it != backoff_.end()) {
    it->second = std::max(it->second, until);
  } else if (backoff_.size() < kMaxBackoffs) {
    backoff_[{topic, peer}] = until;
  }
}

bool Gossipsub::backing_off(const PeerId& peer, std::size_t topic, absl::Time now) const {
  const auto it = backoff_.find({topic, peer});
  return it != backoff_.end() && now < it->second;
}

bool Gossipsub::room_for(const Peer& peer, std::size_t bytes) const {
  if (peer.pending >= params_.max_pending / kPendingShares) return false;
  const auto limit = [&](std::size_t all) { return peer.pending == 0 ? all : all - all / kPendingShares; };
  return pending_.size() < limit(params_.max_pending) && pending_bytes_ + bytes <= limit(params_.max_pending_bytes);
}

void Gossipsub::see(const MessageId& id, absl::Time now) {
  seen_.insert(id);
  seen_order_.emplace_back(now, id);
  if (seen_order_.size() > kMaxSeen) {
    seen_.erase(seen_order_.front().second);
    rejected_.erase(seen_order_.front().second);
    seen_order_.pop_front();
  }
}

void Gossipsub::remember(const MessageId& id, std::size_t topic, SharedBytes frame) {
  cache_bytes_ += frame->size();
  cache_.push_back({id, topic, std::move(frame), tick_});
  cache_index_[id] = &cache_.back();
  while (cache_bytes_ > params_.max_cache_bytes && cache_.size() > 1) forget_oldest();
}

void Gossipsub::forget_oldest() {
  cache_bytes_ -= cache_.front().frame->size();
  cache_index_.erase(cache_.front().id);
  cache_.pop_front();
}

SharedBytes Gossipsub::message_frame(std::size_t topic, BytesView data) const {
  Bytes rpc;
  rpc.reserve(data.size() + topics_[topic].size() + 32);
  GossipRpcWriter::message(topics_[topic], data, rpc);
  Bytes frame;
  frame.reserve(rpc.size() + 10);
  append_delimited(rpc, frame);
  return std::make_shared<const Bytes>(std::move(frame));
}

void Gossipsub::send_control(const PeerId& to, const Control& c, bool droppable) {
  const auto it = peers_.find(to);
  if (c.empty() || it == peers_.end() || !it->second.version || *it->second.version == Version::floodsub) return;
  Bytes rpc;
  GossipRpcWriter::control(c, rpc);
  Bytes frame;
  append_delimited(rpc, frame);
  handler_.send(to, std::make_shared<const Bytes>(std::move(frame)), droppable);
}

void Gossipsub::punish(double& counter, double by) {
  if (!penalties_suspended_) counter += by;
}

void Gossipsub::punish_message(Peer& p) {
  ++p.rejected;
  punish(p.app, kRejected);
  punish(p.invalid, 1);
}

void Gossipsub::decay(absl::Time now) {
  const auto fade = [](double& v) {
    v *= kDecay;
    if (std::abs(v) < kDecayToZero) v = 0;
  };
  for (auto& [id, p] : peers_) {
    fade(p.app);
    fade(p.behaviour);
    fade(p.invalid);
  }
  absl::erase_if(retained_, [&](const auto& r) { return r.second.until < now; });
}

double Gossipsub::colocation_of(const Peer& p) const {
  if (is_loopback(p.ip)) return 0;
  const auto it = peers_by_ip_.find(network_of(p.ip));
  const int excess = (it == peers_by_ip_.end() ? 0 : it->second) - kColocationThreshold;
  return excess > 0 ? kColocationWeight * excess * excess : 0;
}

double Gossipsub::score_of(const Peer& p) const {
  const double excess = p.behaviour - kBehaviourThreshold;
  return p.app + colocation_of(p) + (excess > 0 ? kBehaviourWeight * excess * excess : 0);
}

double Gossipsub::score(const PeerId& peer) const {
  const auto it = peers_.find(peer);
  return it == peers_.end() ? 0 : score_of(it->second);
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
    if ((p.topics >> t & 1U) != 0) out.topics.push_back(topics_[t]);
    if (mesh_[t].contains(peer)) out.mesh.push_back(topics_[t]);
  }
  out.score = score_of(p);
  out.app = p.app;
  out.behaviour = p.behaviour;
  out.colocation = colocation_of(p);
  out.accepted = p.accepted;
  out.rejected = p.rejected;
  out.duplicates = p.duplicates;
  return out;
}

}  // namespace towline::p2p
