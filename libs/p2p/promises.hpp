// What peers announced with IHAVE and were asked for with IWANT (gossipsub v1.1, "gossip promises"). It decides whom a
// message is asked of, and which promises were broken: a promise has 3 s. One id of each IWANT is tracked, 64 for a
// peer at most. Another peer is asked for the same message after 400 ms; 16,384 questions are remembered for that.
// Pure.
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

  /// False: somebody was asked just now, or this peer has promised it already.
  bool may_ask(const PeerId& peer, const MessageId& id, absl::Time now) const;
  void asked(const MessageId& id, absl::Time now);
  void add(const PeerId& peer, const MessageId& id, absl::Time now);
  /// The peer brought a message. Where it promised none with this id its oldest promise counts as kept: a peer that
  /// computes ids otherwise (kona once left out the topic) is not punished.
  void delivered(const PeerId& peer, const MessageId& id);
  /// The peers with promises that are over and were not kept, once for each. A promise is kept if the message has come,
  /// whoever brought it.
  std::vector<PeerId> expire(const SeenCache& seen, absl::Time now);
  void remove_peer(const PeerId& peer) { by_peer_.erase(peer); }

 private:
  using Promise = std::pair<MessageId, absl::Time>;           // until when
  absl::flat_hash_map<PeerId, std::deque<Promise>> by_peer_;  // no empty ones
  absl::flat_hash_map<MessageId, absl::Time> asked_;
};

}  // namespace towline::p2p
