#include "services/p2p-gossip/core/connection_manager.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>

#include "libs/base/status.hpp"

namespace towline::gossip {
namespace {

constexpr absl::Duration kFirstBackoff = absl::Seconds(1);
/// op-node checks its static peers once a minute; candidates may wait longer.
constexpr absl::Duration kLongestStaticBackoff = absl::Seconds(30), kLongestBackoff = absl::Minutes(10);
/// A useless peer is disconnected after a minute, so a connection of less than this time counts as a failure.
constexpr absl::Duration kLasting = absl::Minutes(2);
constexpr int kMaxFailures = 6;
constexpr std::size_t kMaxCandidates = 1000, kMaxCandidatesPerIp = 4;

void leave(absl::flat_hash_map<p2p::Ip, std::size_t>& counts, const p2p::Ip& ip) {
  if (const auto n = counts.find(p2p::network_of(ip)); n != counts.end() && --n->second == 0) counts.erase(n);
}

}  // namespace

void ConnectionManager::add_static(const p2p::Multiaddr& address) {
  auto& a = addresses_[*address.peer];
  a.address = address;
  a.is_static = true;
  a.not_before = absl::InfinitePast();
}

void ConnectionManager::add_candidate(const p2p::Multiaddr& address) {
  const auto known = addresses_.find(*address.peer);
  if (known != addresses_.end()) {
    // A static peer is dialled at the operator's address, a candidate at its latest known address.
    if (!known->second.is_static && !known->second.dialling) known->second.address = address;
    return;
  }
  const auto& allowed = options_.candidates_from;
  if (!allowed.empty() &&
      std::none_of(allowed.begin(), allowed.end(), [&](const auto& n) { return n.contains(address.ip); }))
    return;
  if (!p2p::is_loopback(address.ip)) {
    const auto same = std::count_if(addresses_.begin(), addresses_.end(), [&](const auto& a) {
      return p2p::network_of(a.second.address.ip) == p2p::network_of(address.ip);
    });
    if (static_cast<std::size_t>(same) >= kMaxCandidatesPerIp) return;
  }
  if (addresses_.size() >= kMaxCandidates) {
    // Anybody can invent any number of candidates. One that did not answer makes room, else any other: real ones are
    // heard of again.
    const auto spare = [&](const auto& a, bool failed) {
      return !a.second.is_static && !a.second.dialling && (a.second.failures > 0 || !failed) &&
             !connected_.contains(a.first);
    };
    auto loser = std::find_if(addresses_.begin(), addresses_.end(), [&](const auto& a) { return spare(a, true); });
    if (loser == addresses_.end())
      loser = std::find_if(addresses_.begin(), addresses_.end(), [&](const auto& a) { return spare(a, false); });
    if (loser == addresses_.end()) return;
    addresses_.erase(loser);
  }
  addresses_[*address.peer].address = address;
}

bool ConnectionManager::is_static(const p2p::PeerId& peer) const {
  const auto it = addresses_.find(peer);
  return it != addresses_.end() && it->second.is_static;
}

std::size_t ConnectionManager::outbound() const {
  return static_cast<std::size_t>(
      std::count_if(connected_.begin(), connected_.end(), [](const auto& c) { return c.second.outbound; }));
}

bool ConnectionManager::wants_peers(std::size_t on_the_way) const {
  return connected_.size() + on_the_way < options_.peers_lo || outbound() + on_the_way < wanted_outbound();
}

bool ConnectionManager::room_for_inbound() const {
  // Some places are reserved for peers that we choose ourselves.
  return connected_.size() - outbound() < std::max<std::size_t>(1, options_.peers_hi - wanted_outbound());
}

bool ConnectionManager::crowded(const absl::flat_hash_map<p2p::Ip, std::size_t>& counts, const p2p::Ip& ip,
                                std::size_t limit) const {
  const auto n = counts.find(p2p::network_of(ip));
  return n != counts.end() && n->second >= limit && !p2p::is_loopback(ip);
}

absl::Status ConnectionManager::on_accepted(const p2p::Ip& ip, absl::Time now) {
  TOWLINE_RETURN_IF_ERROR(bans_.check(ip, now));
  if (handshakes_ >= options_.max_handshakes || crowded(handshakes_per_ip_, ip, options_.max_handshakes_per_ip))
    return absl::ResourceExhaustedError("too many handshakes are under way");
  if (crowded(per_ip_, ip, options_.max_per_ip))
    return absl::ResourceExhaustedError("too many connections from this address");
  ++handshakes_;
  ++handshakes_per_ip_[p2p::network_of(ip)];
  return absl::OkStatus();
}

void ConnectionManager::on_handshake_ended(const p2p::Ip& ip) {
  if (handshakes_ > 0) --handshakes_;
  leave(handshakes_per_ip_, ip);
}

absl::Status ConnectionManager::admit(const p2p::PeerId& peer, const p2p::Ip& ip, bool outbound, absl::Time now) const {
  if (is_static(peer)) return absl::OkStatus();
  TOWLINE_RETURN_IF_ERROR(bans_.check(peer, ip, now));
  if (connected_.contains(peer) || outbound)
    return absl::OkStatus();  // it replaces its other connection, or we dialled it
  if (!room_for_inbound()) return absl::ResourceExhaustedError("enough peers are connected");
  if (crowded(per_ip_, ip, options_.max_per_ip))
    return absl::ResourceExhaustedError("too many connections from this address");
  return absl::OkStatus();
}

void ConnectionManager::on_connected(const p2p::PeerId& peer, const p2p::Ip& ip, bool outbound, absl::Time now) {
  if (const auto it = addresses_.find(peer); it != addresses_.end() && it->second.dialling) {
    it->second.dialling = false;
    --dials_;
  }
  // The connection may replace another one of the same peer.
  if (const auto it = connected_.find(peer); it != connected_.end()) leave(per_ip_, it->second.ip);
  connected_[peer] = {ip, outbound, now};
  ++per_ip_[p2p::network_of(ip)];
}

void ConnectionManager::on_disconnected(const p2p::PeerId& peer, absl::Time now) {
  const auto it = connected_.find(peer);
  if (it == connected_.end()) return;
  leave(per_ip_, it->second.ip);
  const bool lasted = now - it->second.since > kLasting;
  connected_.erase(it);
  const auto a = addresses_.find(peer);
  if (a == addresses_.end()) return;
  // A peer that always leaves soon is dialled ever more rarely.
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
    if (candidate && !wants_peers(dials_)) break;
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
  std::vector<std::tuple<double, bool, p2p::PeerId>> spare;
  for (const auto& [peer, c] : connected_) {
    if (is_static(peer) || now - c.since < options_.peers_grace) continue;
    const auto s = scores.find(peer);
    spare.emplace_back(s == scores.end() ? 0 : s->second, c.outbound, peer);
  }
  std::sort(spare.begin(), spare.end());
  std::vector<p2p::PeerId> out;
  for (const auto& [score, chosen, peer] : spare) {
    if (connected_.size() - out.size() <= options_.peers_lo) break;
    out.push_back(peer);
  }
  return out;
}

}  // namespace towline::gossip
