// How far our clock is ahead, of what several servers say. Pure.
#pragma once
#include <absl/time/time.h>

#include <algorithm>
#include <optional>
#include <vector>

namespace towline::gossip {

/// The middle one, so that one wrong clock among several does not count. Of an even number our own is one more: of two
/// that contradict each other the one that ours agrees with is right. One alone is believed. nullopt: nobody says.
inline std::optional<absl::Duration> vote_of_clocks(std::vector<absl::Duration> ahead) {
  if (ahead.empty()) return std::nullopt;
  if (ahead.size() % 2 == 0) ahead.push_back(absl::ZeroDuration());
  const auto middle = ahead.begin() + static_cast<std::ptrdiff_t>(ahead.size() / 2);
  std::nth_element(ahead.begin(), middle, ahead.end());
  return *middle;
}

}  // namespace towline::gossip
