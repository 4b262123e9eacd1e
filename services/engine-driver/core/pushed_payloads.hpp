// The payloads that p2p-gossip pushed before the commands to import them. Pure.
#pragma once
#include <deque>

#include "services/engine-driver/core/prepared_payload.hpp"

namespace towline::driver {

class PushedPayloads {
 public:
  /// A command names the newest block, or the newest few at once where the coordinator filled a gap below them.
  static constexpr std::size_t kMost = 8;
  static constexpr std::size_t kMostBytes = 16U << 20U;

  /// Drops the oldest payloads beyond the bounds, but keeps `p` whatever its size.
  void put(PreparedPayload p);
  /// The payloads after `parent` up to `tip`, in ascending order; they are removed. Empty: not all of them are here.
  std::deque<PreparedPayload> take(const eth::BlockId& parent, const eth::BlockId& tip);
  /// Whether `tip` may still be on its way: p2p-gossip pushes the blocks as they arrive.
  bool may_come(const eth::BlockId& tip) const { return tip.number > newest_; }

 private:
  std::deque<PreparedPayload> all_;  // oldest first
  std::size_t bytes_ = 0;
  std::uint64_t newest_ = 0;
};

}  // namespace towline::driver
