#include "services/sync-coordinator/core/backoff.hpp"

#include <algorithm>
#include <cmath>

namespace towline::coordinator {
namespace {

/// Already far above the longest wait.
constexpr int kMaxDoublings = 10;

}  // namespace

void Backoff::failed(absl::Time now, double luck) {
  const absl::Duration wait = std::min(first_ * std::pow(2, std::min(failures_, kMaxDoublings)), longest_);
  failures_ = std::min(failures_ + 1, kMaxDoublings);
  until_ = now + wait * luck;
}

void Backoff::at_least(int failures) { failures_ = std::max(failures_, failures); }

void Backoff::succeeded() {
  failures_ = 0;
  until_.reset();
}

void Backoff::expire(absl::Time now) {
  if (!waits(now)) until_.reset();
}

void Backoffs::expire(absl::Time now) {
  for (Backoff* b : {&engine, &source, &gossip}) b->expire(now);
}

void Backoffs::stop_waiting() {
  engine.stop_waiting();
  source.stop_waiting();
}

void Backoffs::progress() {
  engine.succeeded();
  source.succeeded();
}

}  // namespace towline::coordinator
