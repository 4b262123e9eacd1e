// How many calls an endpoint takes in one batch, learned by trying. A batch that fails is halved, down to single calls;
// what works grows again by trials that come less and less often while they fail. Pure.
#pragma once
#include <absl/time/time.h>

#include <cstddef>

namespace towline::fetcher {

class BatchSize {
 public:
  /// `most` >= 1 is never exceeded.
  explicit BatchSize(std::size_t most) : most_{most}, trial_{most} {}

  /// Calls that the next request may hold. More than what has worked goes out in one request at a time.
  std::size_t limit(absl::Time now) const {
    const bool may_try = trial_ > works_ && trial_in_flight_ == 0 && now >= trial_at_;
    return may_try ? trial_ : works_;
  }
  /// The largest batch that has worked.
  std::size_t works() const { return works_; }

  void on_sent(std::size_t calls);
  void on_worked(std::size_t calls, absl::Time now);
  /// It failed, and fewer calls at once may work.
  void on_failed(std::size_t calls, absl::Time now);
  /// It ended without telling anything: cancelled, or a rate limit.
  void on_nothing_learned(std::size_t calls);
  /// A single call fails, too: what failed before was the endpoint and not the size.
  void on_single_failed(absl::Time now);

 private:
  static constexpr absl::Duration kFirstWait = absl::Seconds(1);
  static constexpr absl::Duration kLongestWait = absl::Minutes(5);
  const std::size_t most_;
  std::size_t works_ = 1;
  /// The size to try next.
  std::size_t trial_;
  std::size_t trial_in_flight_ = 0;
  absl::Time trial_at_ = absl::InfinitePast();
  absl::Duration wait_ = kFirstWait;
  /// What worked before batches began to fail.
  std::size_t before_ = 0;
};

}  // namespace towline::fetcher
