// When something that failed is tried again: later each time, until it goes well. A value: the time and the luck come
// from outside. Pure.
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

  /// The wait is twice the last one. `luck` is a factor of it, so that several do not try at the same moment.
  void failed(absl::Time now, double luck = 1);
  /// The next wait is as long as after this many failures in a row at least.
  void at_least(int failures);
  /// Instead of a wait that failures make.
  void wait_until(absl::Time t) { until_ = t; }
  void stop_waiting() { until_.reset(); }
  void succeeded();

  bool waits(absl::Time now) const { return until_ && now < *until_; }
  /// A wait that is over is told by due() no more.
  void expire(absl::Time now);
  /// The end of the wait; InfiniteFuture: there is none.
  absl::Time due() const { return until_.value_or(absl::InfiniteFuture()); }

 private:
  absl::Duration first_, longest_;
  int failures_ = 0;
  std::optional<absl::Time> until_;
};

/// What a tow waits for. Trouble with the source does not hold up the p2p network, nor the other way round; trouble
/// with the engine holds up all.
class Backoffs {
 public:
  /// The luck is drawn from `seed`.
  explicit Backoffs(std::uint64_t seed = 1) : random_{seed} {}

  Backoff engine, source;
  /// p2p-gossip did not give its payloads.
  Backoff gossip{absl::Seconds(1), absl::Seconds(1)};

  void engine_failed(absl::Time now) { engine.failed(now, luck()); }
  void source_failed(absl::Time now) { source.failed(now, luck()); }
  /// Nothing is asked of the source.
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
