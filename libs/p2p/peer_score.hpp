// The score of each peer (gossipsub v1.1, "peer scoring") with op-node's parts (colocation, behaviour) and one of our
// own for the validity of a peer's messages (app):
//   score = app + colocation + behaviour
//   app         -4 for each invalid message, +0.1 for each valid message that this peer brought first, 3 at most
//   colocation  -35 * n^2, n: the peers over 10 behind one address (IPv4) or network (IPv6); loopback is exempt
//   behaviour   -16 * n^2, n: the penalties over 6 (a GRAFT inside the back-off, a broken promise)
// So the first invalid message costs a peer its place in the mesh, and more than ten get its RPCs ignored (graylist).
// Counters decay to 1 % in two minutes. A bad score is kept for 20 minutes after the peer has left, for 4096 peers at
// most. Pure.
#pragma once
#include <absl/container/flat_hash_map.h>
#include <absl/time/time.h>

#include "libs/p2p/multiaddr.hpp"
#include "libs/p2p/peer_id.hpp"

namespace towline::p2p {

class PeerScore {
 public:
  static constexpr double kInvalidMessage = -4, kFirstDelivery = 0.1, kMaxApp = 3;
  /// Invalid messages that ban a peer when they come within some ten seconds; later the count has decayed too far. The
  /// score cannot ban: it sinks no further once a peer is graylisted.
  static constexpr double kBanInvalidMessages = 5;
  static constexpr double kColocationWeight = -35;
  static constexpr int kColocationThreshold = 10;
  static constexpr double kBehaviourWeight = -16, kBehaviourThreshold = 6;
  static constexpr std::uint64_t kDecayHeartbeats = 4;  // 2 s
  static constexpr double kDecayToZero = 0.01;
  static constexpr absl::Duration kRetain = absl::Seconds(1200);
  static constexpr std::size_t kMaxRetained = 4096;

  struct Parts {
    double app = 0, colocation = 0, behaviour = 0;
    double score() const;
  };

  void add_peer(const PeerId& peer, const Ip& ip, absl::Time now);
  void remove_peer(const PeerId& peer, absl::Time now);

  // Calls for a peer that is not connected change nothing.
  void first_delivery(const PeerId& peer);
  void invalid_message(const PeerId& peer);
  void add_penalty(const PeerId& peer);
  void on_heartbeat(absl::Time now);
  /// While our own clock or signer may be wrong, invalid messages and penalties are not counted.
  void suspend_penalties(bool on) { suspended_ = on; }

  /// All zero for a peer that is not connected.
  Parts parts(const PeerId& peer) const;
  double score(const PeerId& peer) const { return parts(peer).score(); }
  bool too_many_invalid_messages(const PeerId& peer) const;

 private:
  struct Peer {
    Ip ip;
    double behaviour = 0;  // penalties
    double app = 0;
    double invalid = 0;  // messages
  };
  struct Retained {
    double behaviour, app;
    absl::Time until;
  };
  double colocation(const Ip& ip) const;

  absl::flat_hash_map<PeerId, Peer> peers_;
  absl::flat_hash_map<Ip, int> peers_by_network_;
  absl::flat_hash_map<PeerId, Retained> retained_;
  bool suspended_ = false;
  std::uint64_t heartbeats_ = 0;
};

}  // namespace towline::p2p
