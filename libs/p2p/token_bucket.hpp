// A rate limit with bursts. Pure.
#pragma once
#include <absl/time/time.h>

#include <algorithm>

namespace towline::p2p {

/// `burst` at once, `rate` a second after that.
class TokenBucket {
 public:
  TokenBucket(double rate, double burst) : rate_{rate}, burst_{burst}, tokens_{burst} {}
  /// False: fewer than `n` tokens are left, and none is taken.
  bool take(double n, absl::Time now) {
    if (at_ != absl::InfinitePast())
      tokens_ = std::min(burst_, tokens_ + rate_ * std::max(0.0, absl::ToDoubleSeconds(now - at_)));
    at_ = now;
    if (tokens_ < n) return false;
    tokens_ -= n;
    return true;
  }

 private:
  double rate_, burst_, tokens_;
  absl::Time at_ = absl::InfinitePast();
};

}  // namespace towline::p2p
