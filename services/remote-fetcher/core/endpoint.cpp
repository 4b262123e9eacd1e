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
constexpr absl::Duration kStepAside = absl::Seconds(3);
/// A URL may lead to another node one day.
constexpr absl::Duration kProbeEach = absl::Minutes(1);
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
  return now < std::max(hold_, limited_) ? State::backing_off : State::ready;
}

std::string Endpoint::reason(absl::Time now) const {
  switch (state(now)) {
    case State::refused: return refused_why_;
    case State::cordoned: return cordoned_why_;
    case State::set_aside: return aside_why_;
    case State::probing: return failure_;
    case State::backing_off: return now < limited_ ? "rate limited" : failure_;
    case State::ready: return {};
  }
  return {};
}

absl::Time Endpoint::allowed_at(absl::Time now) const {
  if (refused_ || cordoned_) return absl::InfiniteFuture();
  return std::max({hold_, limited_, aside_, now});
}

absl::Time Endpoint::next_slot(absl::Time now) const {
  if (in_flight_ >= limits_.max_in_flight) return absl::InfiniteFuture();
  return std::max(allowed_at(now), next_token_);
}

void Endpoint::on_request(absl::Time now) {
  ++in_flight_;
  ++counts_.requests;
  if (limits_.max_requests_per_s > 0) {
    next_token_ = std::max(next_token_, now) + absl::Seconds(1.0 / limits_.max_requests_per_s);
  }
}

void Endpoint::on_success(absl::Time now, absl::Duration latency) {
  --in_flight_;
  failures_ = 0;
  hold_ = std::min(hold_, now);
  if (now >= limited_) limited_in_a_row_ = 0;
  latency_ = latency_ == absl::ZeroDuration() ? latency : latency_ * 0.9 + latency * 0.1;
  if (max_batch_ < kMaxBatch && ++answers_since_shrink_ >= kGrowAfter) {
    max_batch_ = std::min(max_batch_ * 2, kMaxBatch);
    answers_since_shrink_ = 0;
  }
}

absl::Duration Endpoint::backoff(absl::Duration first, std::uint64_t times, absl::Duration limit) const {
  return doubled(first, times, limit) * (0.75 + 0.5 * jitter_());
}

void Endpoint::fail(absl::Time now, std::string why) {
  ++counts_.errors;
  failed_since_probe_ = true;
  failure_ = std::move(why);
  // Several requests that fail together are one failure.
  if (now >= hold_) hold_ = now + backoff(kFirstHold, failures_++, kLongestHold);
}

void Endpoint::on_error(absl::Time now, std::string why) {
  --in_flight_;
  fail(now, std::move(why));
}

void Endpoint::on_timeout(absl::Time now, std::string why, std::size_t asked) {
  on_error(now, std::move(why));
  if (asked > 1) {
    max_batch_ = std::min(max_batch_, asked / 2);
    answers_since_shrink_ = 0;
  }
}

void Endpoint::on_bad_answer(absl::Time now, std::string why) { fail(now, std::move(why)); }

void Endpoint::on_rate_limit(absl::Time now, std::optional<absl::Duration> retry_after) {
  --in_flight_;
  ++counts_.rate_limited;
  if (retry_after) {
    limited_ = std::max(limited_, now + *retry_after);
  } else if (now >= limited_) {
    limited_ = now + backoff(kRateLimitHold, limited_in_a_row_++, kLongestHold);
  }
}

void Endpoint::on_too_large(std::size_t asked) {
  --in_flight_;
  max_batch_ = std::max<std::size_t>(1, std::min(max_batch_, asked / 2));
  answers_since_shrink_ = 0;
}

void Endpoint::on_probed(absl::Time now, Kind kind, bool raw_methods) {
  kind_ = kind;
  raw_methods_ = raw_methods;
  probed_ = now;
  failed_since_probe_ = false;
}

bool Endpoint::probe_due(absl::Time now) const {
  return kind_ == Kind::unknown || failed_since_probe_ || now - probed_ > kProbeEach;
}

void Endpoint::refuse(std::string why) {
  refused_ = true;
  refused_why_ = std::move(why);
}

bool Endpoint::set_aside(absl::Time now, std::string why) {
  if (now < lie_) return false;
  lie_ = aside_ = now + doubled(kFirstAside, counts_.lies++, kLongestAside);
  aside_why_ = std::move(why);
  return true;
}

void Endpoint::step_aside(absl::Time now, std::string why) {
  if (now + kStepAside <= aside_) return;
  aside_ = now + kStepAside;
  aside_why_ = std::move(why);
}

void Endpoint::cordon(std::string why) {
  cordoned_ = true;
  cordoned_why_ = std::move(why);
}

void Endpoint::uncordon() {
  cordoned_ = false;
  aside_ = lie_ = absl::InfinitePast();
  counts_.lies = 0;
}

}  // namespace towline::fetcher
