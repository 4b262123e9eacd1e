// How many calls an endpoint takes in one batch, learned by trial. A failing batch is halved, down to single calls. A
// working size grows again by trials, which become rarer while they fail. Pure.
#pragma once
#include <absl/time/time.h>

#include <cstddef>

namespace towline::fetcher {

class BatchSize {
 public:
  /// `most` (at least 1) is never exceeded.
  explicit BatchSize(std::size_t most) : most_{most}, trial_{most} {}

  /// Calls that the next request may hold. Only one request at a time exceeds the size that has worked.
  std::size_t limit(absl::Time now) const {
    const bool may_try = trial_ > works_ && trial_in_flight_ == 0 && now >= trial_at_;
    return may_try ? trial_ : works_;
  }
  /// The largest batch size that has worked.
  std::size_t works() const { return works_; }

  void on_sent(std::size_t calls);
  void on_worked(std::size_t calls, absl::Time now);
  /// The batch failed, and a smaller one may work.
  void on_failed(std::size_t calls, absl::Time now);
  /// The request ended without a result for the size: cancelled, or rate limited.
  void on_nothing_learned(std::size_t calls);
  /// A single call failed as well: the endpoint is at fault, not the batch size.
  void on_single_failed(absl::Time now);

 private:
  /// Plans the next trial with twice the working size: at once, or after a wait if that size has failed.
  void grow(absl::Time now);
  static constexpr absl::Duration kFirstWait = absl::Seconds(1);
  static constexpr absl::Duration kLongestWait = absl::Minutes(5);
  const std::size_t most_;
  std::size_t works_ = 1;
  /// The size of the next trial.
  std::size_t trial_;
  std::size_t trial_in_flight_ = 0;
  absl::Time trial_at_ = absl::InfinitePast();
  absl::Duration wait_ = kFirstWait;
  /// The size that worked before batches began to fail.
  std::size_t before_ = 0;
  /// Failures in a row of batches whose size had worked.
  std::size_t failures_ = 0;
  /// The last size that failed; 0: none, or a larger one has worked since.
  std::size_t failed_ = 0;
};

}  // namespace towline::fetcher
