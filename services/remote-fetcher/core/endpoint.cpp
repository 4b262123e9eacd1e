#include "services/remote-fetcher/core/endpoint.hpp"

#include <algorithm>
#include <cmath>

namespace towline::fetcher {
namespace {

constexpr absl::Duration kFirstHold = absl::Milliseconds(200);
constexpr absl::Duration kLongestHold = absl::Seconds(15);
constexpr absl::Duration kRateLimitHold = absl::Seconds(1);
constexpr absl::Duration kFirstAside = absl::Seconds(10);
constexpr absl::Duration kLongestAside = absl::Minutes(30);
/// After so many good answers a batch that was cut is tried at twice the size again.
constexpr std::uint64_t kGrowAfter = 200;

absl::Duration doubled(absl::Duration first, std::uint64_t times, absl::Duration limit) {
  return std::min(first * std::pow(2, static_cast<double>(std::min<std::uint64_t>(times, 20))), limit);
}

}  // namespace

const char* name(Kind k) {
  switch (k) {
    case Kind::unknown: return "unknown";
    case Kind::el: return "el";
    case Kind::cl: return "cl";
  }
  return "?";
}

const char* name(State s) {
  switch (s) {
    case State::probing: return "probing";
    case State::ready: return "ready";
    case State::backing_off: return "backing_off";
    case State::set_aside: return "set_aside";
    case State::cordoned: return "cordoned";
    case State::refused: return "refused";
  }
  return "?";
}

State Endpoint::state(absl::Time now) const {
  if (refused_) return State::refused;
  if (cordoned_) return State::cordoned;
  if (now < aside_) return State::set_aside;
  if (kind_ == Kind::unknown) return State::probing;
  return now < hold_ ? State::backing_off : State::ready;
}

absl::Time Endpoint::next_slot(absl::Time now) const {
  if (refused_ || cordoned_ || in_flight_ >= limits_.max_in_flight) return absl::InfiniteFuture();
  return std::max({hold_, aside_, next_token_, now});
}

void Endpoint::on_request(absl::Time now) {
  ++in_flight_;
  ++counts_.requests;
  if (limits_.max_requests_per_s > 0) next_token_ = std::max(next_token_, now) + absl::Seconds(1.0 / limits_.max_requests_per_s);
}

void Endpoint::on_success(absl::Time now, absl::Duration latency) {
  --in_flight_;
  if (failures_ > 0) reason_.clear();
  failures_ = 0;
  hold_ = std::min(hold_, now);
  latency_ = latency_ == absl::ZeroDuration() ? latency : latency_ * 0.9 + latency * 0.1;
  if (max_batch_ < kMaxBatch && ++answers_since_shrink_ >= kGrowAfter) {
    max_batch_ = std::min(max_batch_ * 2, kMaxBatch);
    answers_since_shrink_ = 0;
  }
}

void Endpoint::hold_until(absl::Time t, std::string why) {
  hold_ = std::max(hold_, t);
  reason_ = std::move(why);
}

void Endpoint::on_error(absl::Time now, std::string why) {
  --in_flight_;
  ++counts_.errors;
  // Several requests that fail together are one failure.
  if (now < hold_) return;
  hold_until(now + doubled(kFirstHold, static_cast<std::uint64_t>(failures_++), kLongestHold), std::move(why));
}

void Endpoint::on_rate_limit(absl::Time now, std::optional<absl::Duration> retry_after) {
  --in_flight_;
  ++counts_.rate_limited;
  if (retry_after) {
    hold_until(now + *retry_after, "rate limited, waiting as long as it asked for");
  } else if (now >= hold_) {
    hold_until(now + doubled(kRateLimitHold, static_cast<std::uint64_t>(failures_++), kLongestHold), "rate limited");
  }
}

void Endpoint::on_too_large(std::size_t asked) {
  --in_flight_;
  max_batch_ = std::max<std::size_t>(1, std::min(max_batch_, asked / 2));
  answers_since_shrink_ = 0;
}

void Endpoint::on_probed(Kind kind, bool raw_methods) {
  kind_ = kind;
  raw_methods_ = raw_methods;
  reason_.clear();
}

void Endpoint::refuse(std::string why) {
  refused_ = true;
  reason_ = std::move(why);
}

void Endpoint::set_aside(absl::Time now, std::string why) {
  ++counts_.lies;
  aside_ = now + doubled(kFirstAside, counts_.lies - 1, kLongestAside);
  reason_ = std::move(why);
}

void Endpoint::cordon(std::string why) {
  cordoned_ = true;
  reason_ = std::move(why);
}

void Endpoint::uncordon() {
  cordoned_ = false;
  aside_ = absl::InfinitePast();
  counts_.lies = 0;
  reason_.clear();
}

}  // namespace towline::fetcher
