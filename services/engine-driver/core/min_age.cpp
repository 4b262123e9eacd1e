#include "services/engine-driver/core/min_age.hpp"

namespace towline::driver {
namespace {

/// A head younger than this is at the tip.
constexpr absl::Duration kAtTip = absl::Minutes(1);
constexpr std::size_t kMostWaiting = 1024;

}  // namespace

MinAge::Ages MinAge::of_l1(std::uint64_t l1_chain_id) {
  switch (l1_chain_id) {
    case 1:         // Ethereum
    case 11155111:  // Sepolia
    case 560048:    // Hoodi
      return {absl::Seconds(12), absl::Minutes(10)};
    default: return {};
  }
}

absl::Duration MinAge::age(std::uint64_t number, absl::Time now) const {
  return now - absl::FromUnixSeconds(static_cast<std::int64_t>(chain_->time_of(number)));
}

bool MinAge::hold(const std::optional<eth::BlockRef>& ours, std::optional<eth::BlockId>& label, absl::Duration least,
                  std::deque<eth::BlockId>& waiting, absl::Time now) {
  if (!label || least == absl::ZeroDuration() || age(label->number, now) >= least) return false;
  while (!waiting.empty() && waiting.back().number >= label->number) waiting.pop_back();
  waiting.push_back(*label);
  label.reset();
  while (!waiting.empty() && age(waiting.front().number, now) >= least) {
    label = waiting.front();
    waiting.pop_front();
  }
  // The label is offered again with each command until a higher one takes its place.
  if (label) waiting.push_front(*label);
  if (label && label->number <= number_of(ours)) label.reset();
  // The list is thinned out next to its newest entry, so that the oldest one, which is due first, stays.
  if (waiting.size() > kMostWaiting) waiting.erase(waiting.end() - 2);
  return true;
}

bool MinAge::hold(const contract::Labels& el, std::optional<eth::BlockId>& safe, std::optional<eth::BlockId>& finalized,
                  absl::Time now) {
  if (!chain_) return false;
  const bool one = hold(el.safe, safe, ages_.safe, safe_, now);
  const bool other = hold(el.finalized, finalized, ages_.finalized, finalized_, now);
  return one || other;
}

void MinAge::forget() {
  safe_.clear();
  finalized_.clear();
}

bool MinAge::may_confirm(const eth::BlockId& head, absl::Time now) const {
  return !chain_ || ages_.finalized == absl::ZeroDuration() || age(head.number, now) <= kAtTip;
}

}  // namespace towline::driver
