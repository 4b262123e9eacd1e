#include "services/remote-fetcher/core/batch_size.hpp"

#include <algorithm>

namespace towline::fetcher {

void BatchSize::on_sent(std::size_t calls) {
  if (calls > works_ && trial_in_flight_ == 0) trial_in_flight_ = calls;
}

void BatchSize::on_nothing_learned(std::size_t calls) {
  if (calls == trial_in_flight_) trial_in_flight_ = 0;
}

void BatchSize::on_worked(std::size_t calls, absl::Time now) {
  const bool trial = calls == trial_in_flight_;
  if (trial) trial_in_flight_ = 0;
  if (calls > 1) before_ = failures_ = 0;
  if (calls <= works_) return;
  works_ = calls;
  if (works_ >= failed_) failed_ = 0;
  if (works_ < trial_) return;
  if (trial) wait_ = kFirstWait;
  grow(now);
}

void BatchSize::grow(absl::Time now) {
  trial_ = std::min(works_ * 2, most_);
  trial_at_ = failed_ > 0 && trial_ >= failed_ ? now + wait_ : now;
}

void BatchSize::on_failed(std::size_t calls, absl::Time now) {
  const bool trial = calls == trial_in_flight_;
  if (trial) trial_in_flight_ = 0;
  if (calls <= 1) return;
  if (calls <= works_) {
    // A size that worked before may have failed by chance.
    if (++failures_ == 1) return;
    failed_ = calls;
    if (before_ == 0) {
      before_ = works_;
      works_ = std::max<std::size_t>(1, calls / 2);
      grow(now);
    } else {
      works_ = 1;
      trial_ = std::max<std::size_t>(1, calls / 2);
      trial_at_ = now;
    }
    return;
  }
  // Other requests of the size that was given up just now.
  if (!trial) return;
  failed_ = calls;
  if (calls / 2 > works_) {
    trial_ = calls / 2;
    return;
  }
  grow(now);
  wait_ = std::min(wait_ * 2, kLongestWait);
}

void BatchSize::on_single_failed(absl::Time now) {
  // The failed trial says no more than a single call does.
  trial_at_ = std::min(trial_at_, now);
  if (before_ == 0) return;
  works_ = before_;
  before_ = failures_ = failed_ = 0;
  grow(now);
}

}  // namespace towline::fetcher
