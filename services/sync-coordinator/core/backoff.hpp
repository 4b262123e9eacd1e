// When to retry something that failed: later each time, until it succeeds. A value type: time and jitter are arguments.
// Pure.
#pragma once
#include <absl/time/time.h>

#include <algorithm>
#include <optional>
#include <random>

namespace towline::coordinator {

class Backoff {
 public:
  explicit Backoff(absl::Duration first = absl::Milliseconds(200), absl::Duration longest = absl::Seconds(10))
      : first_{first}, longest_{longest} {}

  /// Doubles the wait, up to `longest`. `luck` is a jitter factor, so that several retries do not coincide.
  void failed(absl::Time now, double luck = 1);
  /// The next wait is at least as long as after this many failures in a row.
  void at_least(int failures);
  /// Sets the end of the wait directly; the failure count stays.
  void wait_until(absl::Time t) { until_ = t; }
  void stop_waiting() { until_.reset(); }
  void succeeded();

  bool waits(absl::Time now) const { return until_ && now < *until_; }
  /// After a wait has ended, due() no longer reports it.
  void expire(absl::Time now);
  /// The end of the wait; InfiniteFuture if there is none.
  absl::Time due() const { return until_.value_or(absl::InfiniteFuture()); }

 private:
  absl::Duration first_, longest_;
  int failures_ = 0;
  std::optional<absl::Time> until_;
};

/// The waits of one tow. A failing source does not delay the p2p network, and the p2p network does not delay the
/// source. A failing engine delays both.
class Backoffs {
 public:
  /// `seed` is for the jitter.
  explicit Backoffs(std::uint64_t seed = 1) : random_{seed} {}

  Backoff engine, source;
  /// p2p-gossip did not deliver its payloads.
  Backoff gossip{absl::Seconds(1), absl::Seconds(1)};

  void engine_failed(absl::Time now) { engine.failed(now, luck()); }
  void source_failed(absl::Time now) { source.failed(now, luck()); }
  /// True: the source must not be asked for anything.
  bool waits(absl::Time now) const { return engine.waits(now) || source.waits(now); }
  void expire(absl::Time now);
  void stop_waiting();
  void progress();
  absl::Time due() const { return std::min({engine.due(), source.due(), gossip.due()}); }

 private:
  double luck() { return std::uniform_real_distribution<double>{0.8, 1.2}(random_); }
  std::mt19937_64 random_;
};

}  // namespace towline::coordinator
