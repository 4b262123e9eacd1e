// When a subscription that ended is set up again, and how many messages a server may send unasked. Pure.
#pragma once
#include <absl/time/time.h>

#include <algorithm>
#include <optional>

namespace towline::http {

class PushBackoff {
 public:
  /// For a source that does not know the subscription or refuses us: that seldom changes.
  static constexpr absl::Duration kRefused = absl::Minutes(5);
  static constexpr absl::Duration kFirst = absl::Seconds(1), kLongest = absl::Minutes(1);
  /// A subscription that ends sooner counts as a failure.
  static constexpr absl::Duration kLived = absl::Seconds(30);

  void on_live(absl::Time now) { live_since_ = now; }
  /// How long to wait. `random` in [0, 1) spreads subscriptions that ended together.
  absl::Duration on_end(absl::Time now, bool refused, std::optional<absl::Duration> retry_after, double random) {
    if (live_since_ && now - *live_since_ >= kLived) next_ = kFirst;
    live_since_.reset();
    absl::Duration wait = refused ? kRefused : next_;
    next_ = std::min(next_ * 2, kLongest);
    if (retry_after) wait = std::max(wait, *retry_after);
    return wait * (1 + random / 2);
  }

 private:
  std::optional<absl::Time> live_since_;
  absl::Duration next_ = kFirst;
};

/// Counts messages in windows of a second.
class FloodGuard {
 public:
  static constexpr int kPerSecond = 200;

  /// False: too many messages.
  bool admit(absl::Time now) {
    if (now - window_ >= absl::Seconds(1)) {
      window_ = now;
      count_ = 0;
    }
    return ++count_ <= kPerSecond;
  }

 private:
  absl::Time window_ = absl::InfinitePast();
  int count_ = 0;
};

}  // namespace towline::http
