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
  if (calls > 1) before_ = 0;
  if (calls <= works_) return;
  works_ = calls;
  if (works_ < trial_) return;
  if (trial) wait_ = kFirstWait;
  trial_ = std::min(works_ * 2, most_);
  trial_at_ = now + wait_;
}

void BatchSize::on_failed(std::size_t calls, absl::Time now) {
  const bool trial = calls == trial_in_flight_;
  if (trial) trial_in_flight_ = 0;
  if (calls <= 1) return;
  if (calls <= works_) {
    before_ = std::max(before_, works_);
    works_ = 1;
    trial_ = std::max<std::size_t>(1, calls / 2);
    trial_at_ = now;
    return;
  }
  // Others that were sent with the size that has just been given up.
  if (!trial) return;
  if (calls / 2 > works_) {
    trial_ = calls / 2;
    return;
  }
  trial_ = std::min(works_ * 2, most_);
  trial_at_ = now + wait_;
  wait_ = std::min(wait_ * 2, kLongestWait);
}

void BatchSize::on_single_failed(absl::Time now) {
  if (before_ == 0) return;
  works_ = before_;
  trial_ = std::min(works_ * 2, most_);
  trial_at_ = now + wait_;
  before_ = 0;
}

}  // namespace towline::fetcher
