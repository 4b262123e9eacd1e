#include "services/sync-coordinator/core/walkback.hpp"

#include <absl/numeric/int128.h>

#include <algorithm>
#include <set>

namespace towline::coordinator {

Walkback::Walkback(const eth::BlockId& low, std::uint64_t high, std::size_t width)
    : low_{low}, high_{std::max(high, low.number) + 1}, width_{std::max<std::size_t>(width, 2)} {
  plan();
}

void Walkback::plan() {
  // The unknown heights are those between low and high, both excluded.
  std::set<std::uint64_t> pick;
  std::uint64_t top = high_;
  if (!low_compared_) pick.insert(low_.number);
  if (rounds_ == 0) {
    const std::uint64_t near = std::min<std::uint64_t>(kNear, width_ - pick.size());
    for (std::uint64_t i = 0; i < near && top > low_.number + 1; ++i) pick.insert(--top);
  }
  const std::uint64_t unknown = top - low_.number - 1;
  const std::uint64_t points = std::min<std::uint64_t>(unknown, width_ - std::min(width_, pick.size()));
  for (std::uint64_t i = 1; i <= points; ++i) {
    // Spread evenly; 128 bits, since unknown * i may not fit in 64.
    pick.insert(low_.number + absl::Uint128Low64(absl::uint128{unknown + 1} * i / (points + 1)));
  }
  numbers_.assign(pick.begin(), pick.end());
}

Walkback::Result Walkback::on_answers(const std::vector<eth::BlockRef>& remote,
                                      const std::vector<eth::BlockRef>& local) {
  ++rounds_;
  std::map<std::uint64_t, Hash32> ours;
  for (const auto& b : local) ours[b.number] = b.hash;
  const eth::BlockId before = low_;
  const std::uint64_t high_before = high_;
  const bool compared_before = low_compared_;
  for (const auto& b : remote) {
    if (b.number == low_.number && b.number == before.number && !compared_before) {
      low_compared_ = true;
      if (b.hash != before.hash) {
        remote_at_low_ = b.id();
        return Result::diverged;
      }
    }
  }
  // A common height makes all heights below it common. A height that differs makes all heights above it differ.
  for (const auto& b : remote) {
    const auto it = ours.find(b.number);
    if (it == ours.end() || b.number <= before.number || b.number >= high_before) continue;
    if (it->second == b.hash) {
      low_compared_ = true;
      if (b.number > low_.number) low_ = b.id();
    } else {
      high_ = std::min(high_, b.number);
    }
  }
  if (high_ <= low_.number) return Result::stuck;  // the answers came from different views
  if (high_ == low_.number + 1)
    return low_compared_ || high_before == before.number + 1 ? Result::found : Result::stuck;
  if (low_ == before && high_ == high_before && rounds_ > 1) return Result::stuck;
  plan();
  return numbers_.empty() ? Result::stuck : Result::searching;
}

}  // namespace towline::coordinator
