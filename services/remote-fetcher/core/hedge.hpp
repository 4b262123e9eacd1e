// When a request is put to a second endpoint as well, because the first takes longer than it does nearly always. Pure.
#pragma once
#include <absl/time/time.h>

#include <algorithm>
#include <optional>

#include "services/remote-fetcher/core/latency.hpp"

namespace towline::fetcher {

/// Of all requests, at most this part is asked twice.
class HedgeAllowance {
 public:
  static constexpr double kPart = 0.05;
  /// That may be saved up while nothing is slow.
  static constexpr double kMost = 8;

  void on_request() { left_ = std::min(kMost, left_ + kPart); }
  /// Whether a second request may leave; it is counted.
  bool take() {
    if (left_ < 1) return false;
    left_ -= 1;
    return true;
  }

 private:
  double left_ = 0;
};

/// The quantile of an endpoint's answers after which the second is asked, and what it is above their median at least:
/// of an endpoint that always takes about as long, one in twenty is a little later, and would use up what is allowed.
inline constexpr double kHedgeQuantile = 0.95;
inline constexpr absl::Duration kHedgeAfter = absl::Milliseconds(25);

/// When the second is asked. nullopt: not at all, since too few answers are known.
inline std::optional<absl::Duration> hedge_after(const Latency& l, absl::Time now) {
  const auto late = l.quantile(kHedgeQuantile, now);
  if (!late) return std::nullopt;
  return std::max(*late, *l.quantile(0.5, now) + kHedgeAfter);
}

}  // namespace towline::fetcher
