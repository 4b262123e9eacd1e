#include "services/remote-fetcher/core/latency.hpp"

#include <algorithm>
#include <vector>

namespace towline::fetcher {

void Latency::add(absl::Duration took, std::size_t calls, absl::Time now, bool overtaken) {
  samples_[next_] = {now, took, took / static_cast<double>(std::max<std::size_t>(1, calls)), overtaken};
  next_ = (next_ + 1) % kMost;
}

std::optional<absl::Duration> Latency::quantile_of(absl::Duration Sample::*what, double q, absl::Time now,
                                                   std::size_t least, bool with_overtaken) const {
  std::vector<absl::Duration> fresh;
  for (const Sample& s : samples_)
    if (now - s.at <= kFresh && (with_overtaken || !s.overtaken)) fresh.push_back(s.*what);
  if (fresh.size() < least) return std::nullopt;
  const auto at = std::min(static_cast<std::size_t>(q * static_cast<double>(fresh.size())), fresh.size() - 1);
  std::nth_element(fresh.begin(), fresh.begin() + static_cast<std::ptrdiff_t>(at), fresh.end());
  return fresh[at];
}

std::optional<absl::Duration> Latency::quantile(double q, absl::Time now, std::size_t least) const {
  return quantile_of(&Sample::took, q, now, least);
}

std::optional<absl::Duration> Latency::quantile_in_time(double q, absl::Time now, std::size_t least) const {
  return quantile_of(&Sample::took, q, now, least, false);
}

std::optional<absl::Duration> Latency::per_call(double q, absl::Time now) const {
  return quantile_of(&Sample::each, q, now, kLeast);
}

std::optional<double> Latency::overtaken(absl::Time now) const {
  std::size_t fresh = 0, overtaken = 0;
  for (const Sample& s : samples_) {
    if (now - s.at > kFresh) continue;
    ++fresh;
    if (s.overtaken) ++overtaken;
  }
  if (fresh < kLeastOfTail) return std::nullopt;
  return static_cast<double>(overtaken) / static_cast<double>(fresh);
}

}  // namespace towline::fetcher
