// Until when a peer that was pruned from a mesh must not be grafted again (gossipsub v1.1, "prune backoff"). Both sides
// keep it: we send no GRAFT, and a GRAFT of the peer is refused. 8192 entries at most. When the table is full, entries
// that are over and those of disconnected peers make room; without room a new back-off is not recorded. Pure.
#pragma once
#include <absl/container/flat_hash_map.h>
#include <absl/time/time.h>

#include <functional>

#include "libs/p2p/peer_id.hpp"

namespace towline::p2p {

class BackoffTable {
 public:
  /// What we ask for in each PRUNE, and assume where a peer's PRUNE names no time.
  static constexpr absl::Duration kDefault = absl::Seconds(60);
  /// The longest that a peer may ask for. It also keeps the arithmetic of times away from the peer's number.
  static constexpr std::uint64_t kLongestSeconds = 3600;
  /// Peers count from when they got our PRUNE, so we wait this much longer than they do.
  static constexpr absl::Duration kSlack = absl::Seconds(2);
  static constexpr std::size_t kMaxEntries = 8192;

  using Connected = std::function<bool(const PeerId&)>;
  /// `connected` tells which entries must stay: peers that connect and leave must not push out the others' back-offs.
  explicit BackoffTable(Connected connected) : connected_{std::move(connected)} {}

  /// A longer back-off that runs already stays.
  void add(std::size_t topic, const PeerId& peer, absl::Duration d, absl::Time now);
  /// We must not graft the peer.
  bool active(std::size_t topic, const PeerId& peer, absl::Time now) const;
  /// What is left as the peer counts it: zero when it may graft us.
  absl::Duration left_for_peer(std::size_t topic, const PeerId& peer, absl::Time now) const;
  void expire(absl::Time now);

 private:
  const Connected connected_;
  absl::flat_hash_map<std::pair<std::size_t, PeerId>, absl::Time> until_;
};

}  // namespace towline::p2p
