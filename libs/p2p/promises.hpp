// Messages that peers announced with IHAVE and that we requested with IWANT (gossipsub v1.1, "gossip promises"). It
// decides which peer is asked for a message, and which promises were broken: a promise has 3 s. One id of each IWANT is
// tracked, at most 64 per peer. After 400 ms another peer may be asked for the same message; the last 16,384 requests
// are remembered for that. Pure.
#pragma once
#include <absl/container/flat_hash_map.h>
#include <absl/time/time.h>

#include <deque>
#include <vector>

#include "libs/p2p/gossip_rpc.hpp"
#include "libs/p2p/peer_id.hpp"

namespace towline::p2p {

class SeenCache;

class Promises {
 public:
  static constexpr absl::Duration kTime = absl::Seconds(3);
  static constexpr absl::Duration kAskOther = absl::Milliseconds(400);
  static constexpr std::size_t kMaxPerPeer = 64, kMaxAsked = 1U << 14U;

  /// False: another peer was asked just now, or this peer has promised the message already.
  bool may_ask(const PeerId& peer, const MessageId& id, absl::Time now) const;
  void asked(const MessageId& id, absl::Time now);
  void add(const PeerId& peer, const MessageId& id, absl::Time now);
  /// The peer brought a message. If it promised none with this id, its oldest promise counts as kept: a peer that
  /// computes ids in another way (kona once left out the topic) is not punished.
  void delivered(const PeerId& peer, const MessageId& id);
  /// The peers of expired promises that were not kept, once for each promise. A promise is kept if any peer brought the
  /// message.
  std::vector<PeerId> expire(const SeenCache& seen, absl::Time now);
  void remove_peer(const PeerId& peer) { by_peer_.erase(peer); }

 private:
  using Promise = std::pair<MessageId, absl::Time>;           // with its deadline
  absl::flat_hash_map<PeerId, std::deque<Promise>> by_peer_;  // no empty ones
  absl::flat_hash_map<MessageId, absl::Time> asked_;
};

}  // namespace towline::p2p
