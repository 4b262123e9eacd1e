// Until when a peer that was pruned from a mesh must not be grafted again (gossipsub v1.1, "prune backoff"). It binds
// both sides: we send no GRAFT, and a GRAFT of the peer is refused. At most 8192 entries. When the table is full,
// expired entries and those of disconnected peers make room; without room a new back-off is not recorded. Pure.
#pragma once
#include <absl/container/flat_hash_map.h>
#include <absl/time/time.h>

#include <functional>

#include "libs/p2p/peer_id.hpp"

namespace towline::p2p {

class BackoffTable {
 public:
  /// The time in each PRUNE of ours, and the assumed time where a peer's PRUNE names none.
  static constexpr absl::Duration kDefault = absl::Seconds(60);
  /// The longest time that a peer may ask for. The limit also keeps a peer's number from overflowing a time.
  static constexpr std::uint64_t kLongestSeconds = 3600;
  /// A peer's back-off begins when it gets our PRUNE, so we wait this much longer.
  static constexpr absl::Duration kSlack = absl::Seconds(2);
  static constexpr std::size_t kMaxEntries = 8192;

  using Connected = std::function<bool(const PeerId&)>;
  /// `connected` tells which entries must stay: peers that connect and leave must not push out the others' back-offs.
  explicit BackoffTable(Connected connected) : connected_{std::move(connected)} {}

  /// Keeps a longer back-off that runs already.
  void add(std::size_t topic, const PeerId& peer, absl::Duration d, absl::Time now);
  /// Whether we must not graft the peer.
  bool active(std::size_t topic, const PeerId& peer, absl::Time now) const;
  /// The remaining time as the peer counts it: zero when it may graft us.
  absl::Duration left_for_peer(std::size_t topic, const PeerId& peer, absl::Time now) const;
  void expire(absl::Time now);

 private:
  const Connected connected_;
  absl::flat_hash_map<std::pair<std::size_t, PeerId>, absl::Time> until_;
};

}  // namespace towline::p2p
