// When a request is also sent to a second endpoint, because the first takes longer than it nearly always does. Pure.
#pragma once
#include <algorithm>

namespace towline::fetcher {

/// Limits the part of requests that are sent twice.
class HedgeAllowance {
 public:
  static constexpr double kPart = 0.05;
  /// Second requests that may be saved up while nothing is slow.
  static constexpr double kMost = 8;

  void on_request() { left_ = std::min(kMost, left_ + kPart); }
  /// Whether a second request may be sent; if so, it is counted.
  bool take() {
    if (left_ < 1) return false;
    left_ -= 1;
    return true;
  }

 private:
  double left_ = 0;
};

/// The quantile of an endpoint's response times after which a second endpoint is asked.
inline constexpr double kHedgeQuantile = 0.95;

}  // namespace towline::fetcher
