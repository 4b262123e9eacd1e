#include "services/remote-fetcher/core/pace.hpp"

#include <algorithm>
#include <limits>

namespace towline::fetcher {
namespace {

/// Requests limited within this time count as one event.
constexpr absl::Duration kOneEvent = absl::Seconds(1);
constexpr absl::Duration kGrowEach = absl::Seconds(5);
/// Older answers say nothing about the rate.
constexpr absl::Duration kWindow = absl::Seconds(10);
constexpr double kGrowth = 1.5;
/// A learned rate above this counts as no limit.
constexpr double kUnlimitedCalls = 5000;
constexpr double kUnlimitedRequests = 200;
/// A little less than what was answered.
constexpr double kMargin = 0.9;
constexpr double kSlowest = 0.5;

double lower(double limit, double learned) { return limit == 0 ? learned : std::min(limit, learned); }

}  // namespace

void Pace::share_between(std::size_t processes) {
  if (whole_limit_ == 0) return;
  const double part = whole_limit_ / static_cast<double>(std::max<std::size_t>(1, processes));
  // A lower learned rate stays. A rate at the old limit, or none, becomes the new limit.
  requests_ = requests_ == requests_limit_ ? part : std::min(requests_, part);
  requests_limit_ = part;
}

std::size_t Pace::most_calls() const {
  if (calls_ == 0) return std::numeric_limits<std::size_t>::max();
  return static_cast<std::size_t>(std::max(1.0, calls_));
}

void Pace::on_sent(std::size_t calls, absl::Time now) {
  absl::Duration cost;
  if (requests_ > 0) cost = absl::Seconds(1 / requests_);
  if (calls_ > 0) cost = std::max(cost, absl::Seconds(static_cast<double>(calls) / calls_));
  next_ = std::max(next_, now) + cost;
}

void Pace::on_answered(std::size_t calls, absl::Time now) {
  if (now - since_ > kWindow) {
    since_ = now;
    requests_answered_ = calls_answered_ = 0;
  }
  requests_answered_ += 1;
  calls_answered_ += static_cast<double>(calls);
  grow(now);
}

void Pace::grow(absl::Time now) {
  if (now - grown_ < kGrowEach || now - limited_ < kGrowEach) return;
  grown_ = now;
  if (calls_ > 0) calls_ *= kGrowth;
  if (calls_ > kUnlimitedCalls) calls_ = 0;
  if (requests_ > 0 && requests_ != requests_limit_) requests_ *= kGrowth;
  if (requests_limit_ > 0) requests_ = std::min(requests_, requests_limit_);
  else if (requests_ > kUnlimitedRequests) requests_ = 0;
}

void Pace::on_limited(std::size_t calls, std::size_t answered, bool by_call, absl::Time now) {
  calls_answered_ += static_cast<double>(answered);
  if (answered > 0) requests_answered_ += 1;
  if (now - limited_ < kOneEvent) return;
  const double seconds = since_ == absl::InfinitePast() ? 1 : std::max(1.0, absl::ToDoubleSeconds(now - since_));
  const double halved = answered == 0 && calls > 1 ? static_cast<double>(calls) / 2 : 0;
  calls_ = lower(calls_, std::max({calls_answered_ / seconds * kMargin, halved, 1.0}));
  if (by_call && !counts_calls_) {
    counts_calls_ = true;
    requests_ = requests_limit_;
  }
  if (!counts_calls_) {
    requests_ = lower(requests_, std::max(requests_answered_ / seconds * kMargin, kSlowest));
  }
  limited_ = since_ = now;
  calls_answered_ = requests_answered_ = 0;
}

}  // namespace towline::fetcher
