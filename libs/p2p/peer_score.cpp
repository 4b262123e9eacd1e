#include "libs/p2p/peer_score.hpp"

#include <algorithm>
#include <cmath>

namespace towline::p2p {
namespace {

const double kDecay = std::pow(0.01, 1.0 / 60);

}  // namespace

double PeerScore::Parts::score() const {
  const double excess = behaviour - kBehaviourThreshold;
  return app + colocation + (excess > 0 ? kBehaviourWeight * excess * excess : 0);
}

void PeerScore::add_peer(const PeerId& peer, const Ip& ip, absl::Time now) {
  const auto [it, added] = peers_.try_emplace(peer);
  if (!added) return;
  it->second.ip = ip;
  ++peers_by_network_[network_of(ip)];
  const auto r = retained_.find(peer);
  if (r == retained_.end()) return;
  if (now < r->second.until) {
    it->second.app = r->second.app;
    it->second.behaviour = r->second.behaviour;
  }
  retained_.erase(r);
}

void PeerScore::remove_peer(const PeerId& peer, absl::Time now) {
  const auto it = peers_.find(peer);
  if (it == peers_.end()) return;
  const Peer& p = it->second;
  if ((p.app < 0 || p.behaviour > 0) && retained_.size() < kMaxRetained)
    retained_[peer] = {p.behaviour, p.app, now + kRetain};
  if (const auto n = peers_by_network_.find(network_of(p.ip)); --n->second == 0) peers_by_network_.erase(n);
  peers_.erase(it);
}

void PeerScore::first_delivery(const PeerId& peer) {
  if (const auto it = peers_.find(peer); it != peers_.end())
    it->second.app = std::min(kMaxApp, it->second.app + kFirstDelivery);
}

void PeerScore::invalid_message(const PeerId& peer) {
  const auto it = peers_.find(peer);
  if (it == peers_.end() || suspended_) return;
  it->second.app += kInvalidMessage;
  it->second.invalid += 1;
}

void PeerScore::add_penalty(const PeerId& peer) {
  if (const auto it = peers_.find(peer); it != peers_.end() && !suspended_) it->second.behaviour += 1;
}

void PeerScore::on_heartbeat(absl::Time now) {
  if (++heartbeats_ % kDecayHeartbeats != 0) return;
  const auto decay = [](double& v) {
    v *= kDecay;
    if (std::abs(v) < kDecayToZero) v = 0;
  };
  for (auto& [id, p] : peers_) {
    decay(p.app);
    decay(p.behaviour);
    decay(p.invalid);
  }
  absl::erase_if(retained_, [&](const auto& r) { return r.second.until < now; });
}

double PeerScore::colocation(const Ip& ip) const {
  if (is_loopback(ip)) return 0;
  const auto it = peers_by_network_.find(network_of(ip));
  const int excess = (it == peers_by_network_.end() ? 0 : it->second) - kColocationThreshold;
  return excess > 0 ? kColocationWeight * excess * excess : 0;
}

PeerScore::Parts PeerScore::parts(const PeerId& peer) const {
  const auto it = peers_.find(peer);
  if (it == peers_.end()) return {};
  return {it->second.app, colocation(it->second.ip), it->second.behaviour};
}

bool PeerScore::too_many_invalid_messages(const PeerId& peer) const {
  const auto it = peers_.find(peer);
  return it != peers_.end() && it->second.invalid > kBanInvalidMessages - 1;
}

}  // namespace towline::p2p
