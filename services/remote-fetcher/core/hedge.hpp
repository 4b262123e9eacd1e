// When a request is put to a second endpoint as well, because the first takes longer than it does nearly always. Pure.
#pragma once
#include <algorithm>

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

/// The quantile of an endpoint's answers after which the second is asked.
inline constexpr double kHedgeQuantile = 0.95;

}  // namespace towline::fetcher
