// Whom to dial, admit and disconnect: limits, back-off, and static peers, which are kept for ever. Pure.
#pragma once
#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>
#include <absl/time/time.h>

#include <random>
#include <vector>

#include "libs/p2p/multiaddr.hpp"
#include "services/p2p-gossip/core/bans.hpp"

namespace towline::gossip {

class ConnectionManager {
 public:
  /// Names and defaults are those of op-node's --p2p.* flags.
  struct Options {
    std::size_t peers_lo = 20, peers_hi = 30;
    absl::Duration peers_grace = absl::Seconds(30);
    std::size_t max_dials = 4;
    /// Connections per IPv4 address or IPv6 network; loopback is exempt.
    std::size_t max_per_ip = 8;
    /// Connections whose peer is not known yet, in total and per address.
    std::size_t max_handshakes = 32, max_handshakes_per_ip = 4;
    /// Candidates outside these networks are ignored; empty: none is.
    std::vector<p2p::IpNetwork> candidates_from = {};
    std::uint64_t seed = 1;
  };
  explicit ConnectionManager(Options options) : options_{options}, random_{options.seed} {}

  /// Addresses must have a peer id. Static peers are redialled for ever; a candidate is forgotten after some failures.
  void add_static(const p2p::Multiaddr& address);
  void add_candidate(const p2p::Multiaddr& address);
  bool is_static(const p2p::PeerId& peer) const;

  /// An inbound socket was accepted. On an error, close it at once.
  absl::Status on_accepted(const p2p::Ip& ip, absl::Time now);
  /// The peer of an accepted socket is known, or the socket has closed.
  void on_handshake_ended(const p2p::Ip& ip);
  /// The peer's identity was proven. An error refuses the connection.
  absl::Status admit(const p2p::PeerId& peer, const p2p::Ip& ip, bool outbound, absl::Time now) const;
  void on_connected(const p2p::PeerId& peer, const p2p::Ip& ip, bool outbound, absl::Time now);
  void on_disconnected(const p2p::PeerId& peer, absl::Time now);
  /// A dial of next_dials() failed.
  void on_dial_failed(const p2p::PeerId& peer, absl::Time now);

  /// The addresses to dial now; each must be answered by on_connected() or on_dial_failed().
  std::vector<p2p::Multiaddr> next_dials(absl::Time now);
  /// The peers to disconnect, given their scores, if more are connected than wanted.
  std::vector<p2p::PeerId> to_trim(const absl::flat_hash_map<p2p::PeerId, double>& scores, absl::Time now) const;
  /// True if there are too few peers, or too few that we chose ourselves: inbound peers may all belong to one operator.
  bool wants_peers() const { return wants_peers(0); }

  Bans& bans() { return bans_; }
  const Bans& bans() const { return bans_; }
  std::size_t connected() const { return connected_.size(); }
  std::size_t known() const { return addresses_.size(); }

 private:
  struct Address {
    p2p::Multiaddr address;
    bool is_static = false;
    bool dialling = false;
    int failures = 0;
    absl::Time not_before = absl::InfinitePast();
  };
  struct Connected {
    p2p::Ip ip;
    bool outbound;
    absl::Time since;
  };
  bool wants_peers(std::size_t on_the_way) const;
  std::size_t wanted_outbound() const { return options_.peers_lo / 2; }
  std::size_t outbound() const;
  bool room_for_inbound() const;
  bool crowded(const absl::flat_hash_map<p2p::Ip, std::size_t>& counts, const p2p::Ip& ip, std::size_t limit) const;

  const Options options_;
  std::mt19937_64 random_;
  Bans bans_;
  absl::flat_hash_map<p2p::PeerId, Address> addresses_;
  absl::flat_hash_map<p2p::PeerId, Connected> connected_;
  /// Keyed by p2p::network_of().
  absl::flat_hash_map<p2p::Ip, std::size_t> per_ip_, handshakes_per_ip_;
  std::size_t handshakes_ = 0, dials_ = 0;
};

}  // namespace towline::gossip
