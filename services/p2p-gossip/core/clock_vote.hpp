// The offset of our clock, according to several servers. Pure.
#pragma once
#include <absl/time/time.h>

#include <algorithm>
#include <optional>
#include <vector>

namespace towline::gossip {

/// The median of the offsets, so that a single wrong clock does not count. With an even number of servers our own clock
/// is one more: of two that contradict each other, the one that agrees with ours is right. A single server is believed.
/// nullopt: no server answered.
inline std::optional<absl::Duration> vote_of_clocks(std::vector<absl::Duration> ahead) {
  if (ahead.empty()) return std::nullopt;
  if (ahead.size() % 2 == 0) ahead.push_back(absl::ZeroDuration());
  const auto middle = ahead.begin() + static_cast<std::ptrdiff_t>(ahead.size() / 2);
  std::nth_element(ahead.begin(), middle, ahead.end());
  return *middle;
}

}  // namespace towline::gossip
