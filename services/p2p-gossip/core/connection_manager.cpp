#include "services/p2p-gossip/core/connection_manager.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>

#include "libs/base/status.hpp"

namespace towline::gossip {
namespace {

constexpr absl::Duration kFirstBackoff = absl::Seconds(1);
/// op-node looks at its static peers once a minute; a candidate may wait longer.
constexpr absl::Duration kLongestStaticBackoff = absl::Seconds(30), kLongestBackoff = absl::Minutes(10);
constexpr int kMaxFailures = 6;
constexpr std::size_t kMaxCandidates = 1000;

}  // namespace

void ConnectionManager::add_static(const p2p::Multiaddr& address) {
  auto& a = addresses_[*address.peer];
  a.address = address;
  a.is_static = true;
  a.not_before = absl::InfinitePast();
}

void ConnectionManager::add_candidate(const p2p::Multiaddr& address) {
  if (addresses_.size() >= kMaxCandidates) return;
  const auto [it, added] = addresses_.try_emplace(*address.peer);
  // A static peer is dialled where the operator said; a candidate where it was heard of last.
  if (!it->second.is_static && !it->second.dialling) it->second.address = address;
}

bool ConnectionManager::is_static(const p2p::PeerId& peer) const {
  const auto it = addresses_.find(peer);
  return it != addresses_.end() && it->second.is_static;
}

bool ConnectionManager::room_for_inbound() const {
  const auto inbound =
      std::count_if(connected_.begin(), connected_.end(), [](const auto& c) { return !c.second.outbound; });
  // Room stays for those that we choose ourselves.
  return static_cast<std::size_t>(inbound) < std::max<std::size_t>(1, options_.peers_hi);
}

absl::Status ConnectionManager::on_accepted(const p2p::Ip& ip, absl::Time now) {
  TOWLINE_RETURN_IF_ERROR(bans_.check(ip, now));
  if (handshakes_ >= options_.max_handshakes) return absl::ResourceExhaustedError("too many handshakes are under way");
  const auto n = per_ip_.find(ip);
  if (n != per_ip_.end() && n->second >= options_.max_per_ip && !p2p::is_loopback(ip))
    return absl::ResourceExhaustedError("too many connections from this address");
  ++handshakes_;
  ++per_ip_[ip];
  return absl::OkStatus();
}

void ConnectionManager::on_handshake_ended(const p2p::Ip& ip) {
  if (handshakes_ > 0) --handshakes_;
  leave(ip);
}

void ConnectionManager::leave(const p2p::Ip& ip) {
  if (const auto n = per_ip_.find(ip); n != per_ip_.end() && --n->second == 0) per_ip_.erase(n);
}

absl::Status ConnectionManager::admit(const p2p::PeerId& peer, const p2p::Ip& ip, bool outbound, absl::Time now) const {
  if (is_static(peer)) return absl::OkStatus();
  TOWLINE_RETURN_IF_ERROR(bans_.check(peer, ip, now));
  if (connected_.contains(peer)) return absl::OkStatus();  // it replaces its other connection
  if (!outbound && !room_for_inbound()) return absl::ResourceExhaustedError("enough peers are connected");
  return absl::OkStatus();
}

void ConnectionManager::on_connected(const p2p::PeerId& peer, const p2p::Ip& ip, bool outbound, absl::Time now) {
  if (const auto it = addresses_.find(peer); it != addresses_.end() && it->second.dialling) {
    it->second.dialling = false;
    --dials_;
  }
  if (connected_.try_emplace(peer, Connected{ip, outbound, now}).second) ++per_ip_[ip];
}

void ConnectionManager::on_disconnected(const p2p::PeerId& peer, absl::Time now) {
  const auto it = connected_.find(peer);
  if (it == connected_.end()) return;
  leave(it->second.ip);
  const bool lasted = now - it->second.since > options_.peers_grace;
  connected_.erase(it);
  const auto a = addresses_.find(peer);
  if (a == addresses_.end()) return;
  // One that leaves at once each time is dialled ever more rarely.
  a->second.failures = lasted ? 0 : a->second.failures + 1;
  a->second.not_before = now + kFirstBackoff * std::pow(2, std::min(a->second.failures, 10));
  if (a->second.is_static) a->second.not_before = std::min(a->second.not_before, now + kLongestStaticBackoff);
  else if (a->second.failures > kMaxFailures) addresses_.erase(a);
}

void ConnectionManager::on_dial_failed(const p2p::PeerId& peer, absl::Time now) {
  const auto it = addresses_.find(peer);
  if (it == addresses_.end() || !it->second.dialling) return;
  Address& a = it->second;
  a.dialling = false;
  --dials_;
  if (++a.failures > kMaxFailures && !a.is_static) {
    addresses_.erase(it);
    return;
  }
  const absl::Duration wait = std::min(kFirstBackoff * std::pow(2, std::min(a.failures - 1, 12)),
                                       a.is_static ? kLongestStaticBackoff : kLongestBackoff);
  a.not_before = now + wait * std::uniform_real_distribution<double>{0.8, 1.2}(random_);
}

std::vector<p2p::Multiaddr> ConnectionManager::next_dials(absl::Time now) {
  std::vector<std::pair<bool, p2p::PeerId>> due;
  for (const auto& [peer, a] : addresses_) {
    if (a.dialling || connected_.contains(peer) || now < a.not_before) continue;
    if (!a.is_static && (!wants_peers() || !bans_.check(peer, a.address.ip, now).ok())) continue;
    due.emplace_back(!a.is_static, peer);
  }
  std::sort(due.begin(), due.end());
  std::shuffle(std::find_if(due.begin(), due.end(), [](const auto& d) { return d.first; }), due.end(), random_);
  std::vector<p2p::Multiaddr> out;
  for (const auto& [candidate, peer] : due) {
    if (dials_ >= options_.max_dials) break;
    if (candidate && connected_.size() + dials_ >= options_.peers_lo) break;
    Address& a = addresses_.at(peer);
    a.dialling = true;
    ++dials_;
    out.push_back(a.address);
  }
  return out;
}

std::vector<p2p::PeerId> ConnectionManager::to_trim(const absl::flat_hash_map<p2p::PeerId, double>& scores,
                                                    absl::Time now) const {
  if (connected_.size() <= options_.peers_hi) return {};
  std::vector<std::pair<double, p2p::PeerId>> spare;
  for (const auto& [peer, c] : connected_) {
    if (is_static(peer) || now - c.since < options_.peers_grace) continue;
    const auto s = scores.find(peer);
    spare.emplace_back(s == scores.end() ? 0 : s->second, peer);
  }
  std::sort(spare.begin(), spare.end());
  std::vector<p2p::PeerId> out;
  for (const auto& [score, peer] : spare) {
    if (connected_.size() - out.size() <= options_.peers_lo) break;
    out.push_back(peer);
  }
  return out;
}

}  // namespace towline::gossip
