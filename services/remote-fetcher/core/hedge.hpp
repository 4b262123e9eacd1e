// When a request is also sent to a second endpoint, because the first takes longer than it nearly always does. Pure.
#pragma once
#include <absl/time/time.h>

#include <algorithm>
#include <optional>

#include "services/remote-fetcher/core/latency.hpp"

namespace towline::fetcher {

/// Limits the part of requests that are sent twice.
class HedgeAllowance {
 public:
  static constexpr double kPart = 0.05;
  /// Second requests that may be saved up while nothing is slow. A process starts with as many.
  static constexpr double kMost = 8;

  void on_request() { left_ = std::min(kMost, left_ + kPart); }
  /// Whether a second request may be sent; if so, it is counted.
  bool take() {
    if (left_ < 1) return false;
    left_ -= 1;
    return true;
  }

 private:
  double left_ = kMost;
};

/// The quantile of an endpoint's response times after which a second endpoint is asked, and the least distance from the
/// median: an endpoint with nearly constant times would use up the allowance for answers that are hardly late.
inline constexpr double kHedgeQuantile = 0.95;
inline constexpr absl::Duration kHedgeAfter = absl::Milliseconds(25);

/// When the second is asked. nullopt: not at all, since too few answers are known. With few answers, of which a single
/// late one would be the quantile, it is twice the median.
inline std::optional<absl::Duration> hedge_after(const Latency& l, absl::Time now) {
  const auto usual = l.quantile(0.5, now);
  if (!usual) return std::nullopt;
  // An overtaken request has the time of the second: each would delay the next second a little more.
  const auto late = l.quantile_in_time(kHedgeQuantile, now, Latency::kLeastOfTail);
  return std::max(late.value_or(2 * *usual), *usual + kHedgeAfter);
}

}  // namespace towline::fetcher
