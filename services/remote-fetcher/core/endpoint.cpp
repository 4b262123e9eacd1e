#include "services/remote-fetcher/core/endpoint.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>

namespace towline::fetcher {
namespace {

constexpr absl::Duration kFirstHold = absl::Milliseconds(200);
constexpr absl::Duration kLongestHold = absl::Seconds(15);
/// A failed poll waits for the poll interval in any case, so its back-off may start low.
constexpr absl::Duration kFirstPollHold = absl::Milliseconds(500);
/// An endpoint that never worked is probed ever more rarely.
constexpr absl::Duration kLongestProbeHold = absl::Minutes(1);
constexpr absl::Duration kRateLimitHold = absl::Seconds(1);
constexpr absl::Duration kFirstQuarantine = absl::Seconds(10);
constexpr absl::Duration kLongestQuarantine = absl::Minutes(30);
constexpr absl::Duration kHold = absl::Seconds(3);
/// The URL may lead to another node one day.
constexpr absl::Duration kProbeEach = absl::Minutes(1);
/// A syncing node is probed more often: it is wanted as soon as it has synced.
constexpr absl::Duration kProbeSyncingEach = absl::Seconds(5);
/// A load balancer may have led to a node of another chain for a while.
constexpr absl::Duration kProbeRejectedEach = absl::Minutes(5);
constexpr std::uint64_t kFailuresBeforeProbe = 5;
/// A node may get old blocks back, or learn a transaction type.
constexpr absl::Duration kForget = absl::Minutes(10);
/// Replicas behind one URL differ by at most this many blocks.
constexpr std::uint64_t kReplicasApart = 64;
/// A longer pause would make the heads stale for the vote (Vote::Ages).
constexpr absl::Duration kLongestPollPause = absl::Seconds(8);
/// Polls take at most this share of the operator's requests per second.
constexpr double kPollShare = 0.25;

absl::Duration doubled(absl::Duration first, std::uint64_t times, absl::Duration limit) {
  return std::min(first * std::pow(2, static_cast<double>(std::min<std::uint64_t>(times, 20))), limit);
}

}  // namespace

const char* name(State s) {
  switch (s) {
    case State::probing: return "probing";
    case State::ready: return "ready";
    case State::backing_off: return "backing_off";
    case State::quarantined: return "quarantined";
    case State::cordoned: return "cordoned";
    case State::rejected: return "rejected";
  }
  return "?";
}

Endpoint::Endpoint(std::string name, EndpointLimits limits, Jitter jitter)
    : name_{std::move(name)},
      limits_{limits},
      jitter_{std::move(jitter)},
      light_{limits.max_batch == 0 ? kMaxBatch : limits.max_batch},
      heavy_{limits.max_batch == 0 ? kMaxBatch : limits.max_batch},
      pace_{limits.max_requests_per_s * (1 - kPollShare)} {
  share_between(limits.processes);
}

void Endpoint::share_between(std::size_t processes) {
  processes_ = std::max<std::size_t>(1, processes);
  pace_.share_between(processes_);
}

State Endpoint::state(absl::Time now) const {
  if (rejected_) return State::rejected;
  if (cordoned_) return State::cordoned;
  if (now < quarantined_until_) return State::quarantined;
  if (kind_ == contract::EndpointKind::unknown) return State::probing;
  return now < std::max({poll_.hold, bulk_.hold, poll_.limited, bulk_.limited, retry_after_, elsewhere_})
             ? State::backing_off
             : State::ready;
}

Trouble Endpoint::trouble(absl::Time now) const {
  if (rejected_) return {Problem::wrong_chain, rejected_why_};
  if (cordoned_) return {Problem::cordoned, cordoned_why_};
  if (now < quarantined_until_) return quarantine_why_;
  if (now < elsewhere_) return {Problem::other_branch, elsewhere_why_};
  if (syncing_) return syncing_;
  if (kind_ == contract::EndpointKind::unknown) {
    return poll_.trouble ? poll_.trouble : Trouble{Problem::not_asked, "not probed yet"};
  }
  if (gone_ && now < gone_until_) {
    const bool exact = has_ && *has_ == *gone_ + 1;
    return {Problem::pruned,
            exact ? absl::StrCat("it has no blocks below ", *has_) : absl::StrCat("it has no blocks up to ", *gone_)};
  }
  if (now < unknown_transactions_until_) return unknown_transactions_;
  if (now < std::max({poll_.limited, bulk_.limited, retry_after_})) return {Problem::rate_limited, "rate limited"};
  for (const Lane* l : {&poll_, &bulk_}) {
    if (now < l->hold || l->failures > 1) return l->trouble;
  }
  return {};
}

std::size_t Endpoint::max_batch(Work w, absl::Time now) const {
  if (w == Work::poll) return light_.limit(now);
  // A single call finds out whether the endpoint works again at all.
  if (bulk_.failures > 0) return 1;
  const std::size_t n = w == Work::headers ? light_.limit(now) : std::min(heavy_.limit(now), light_.works());
  return std::min(n, pace_.most_calls());
}

absl::Time Endpoint::next_poll(absl::Time now) const {
  if (cordoned_) return absl::InfiniteFuture();
  const absl::Time due = std::max({poll_.hold, poll_.limited, retry_after_, quarantined_until_, next_poll_, now});
  return rejected_ ? std::max(due, probe_rejected_) : due;
}

absl::Time Endpoint::next_bulk(absl::Time now) const {
  if (rejected_ || cordoned_ || in_flight_ >= limits_.max_in_flight) return absl::InfiniteFuture();
  // After a failure, one request at a time until one is answered.
  if (bulk_.failures > 0 && in_flight_ > 0) return absl::InfiniteFuture();
  return std::max({bulk_.hold, bulk_.limited, retry_after_, quarantined_until_, elsewhere_, pace_.next(), now});
}

bool Endpoint::trial_due(Work w, absl::Time now) const {
  return in_flight_ == 0 && now - asked_[static_cast<std::size_t>(w)] > kTrialEach;
}

bool Endpoint::unknown(Work w, absl::Time now) const {
  // The quantile comes last, since it costs the most.
  return (sent_[static_cast<std::size_t>(w)] < kFirstRequests || trial_due(w, now)) &&
         !latency_of(w).quantile(0.5, now);
}

void Endpoint::on_request(Work w, std::size_t calls, absl::Time now) {
  ++counts_.requests;
  size(w).on_sent(calls);
  if (w == Work::poll) {
    ++poll_requests_;
    return;
  }
  ++in_flight_;
  asked_[static_cast<std::size_t>(w)] = now;
  ++sent_[static_cast<std::size_t>(w)];
  pace_.on_sent(calls, now);
}

void Endpoint::on_answered(Work w, std::size_t calls, absl::Time now, absl::Duration latency) {
  latency_ = latency_ == absl::ZeroDuration() ? latency : latency_ * 0.9 + latency * 0.1;
  latencies_[static_cast<std::size_t>(w)].add(latency, calls, now);
  size(w).on_worked(calls, now);
  Lane& l = lane(w);
  if (now >= l.limited) l.limited_in_a_row = 0;
  if (w == Work::poll) return;
  --in_flight_;
  pace_.on_answered(calls, now);
  bulk_.failures = 0;
  bulk_.hold = std::min(bulk_.hold, now);
}

void Endpoint::on_gaps(Work w, std::size_t calls, std::size_t answered, absl::Time now) {
  ++counts_.errors;
  size(w).on_failed(calls, now);
  if (w == Work::poll) return;
  --in_flight_;
  pace_.on_answered(answered, now);
  if (answered > 0) bulk_.failures = 0;
}

absl::Duration Endpoint::backoff(absl::Duration first, std::uint64_t times, absl::Duration limit) const {
  return doubled(first, times, limit) * (0.75 + 0.5 * jitter_());
}

void Endpoint::fail(Lane& lane, absl::Time now, Trouble t) {
  if (t.problem == Problem::unreachable) failed_since_probe_ = true;
  lane.trouble = std::move(t);
  polled_since_failure_ = false;
  // Requests that fail together count as one failure.
  if (now >= lane.hold) lane.hold = now + backoff(kFirstHold, lane.failures++, kLongestHold);
}

void Endpoint::on_busy(Work w, std::size_t calls, absl::Time now, std::optional<absl::Duration> retry_after) {
  ++counts_.errors;
  size(w).on_nothing_learned(calls);
  if (retry_after) retry_after_ = std::max(retry_after_, now + *retry_after);
  if (w != Work::poll) --in_flight_;
}

void Endpoint::on_rate_limit(Work w, std::size_t calls, std::size_t answered, bool by_call, absl::Time now,
                             std::optional<absl::Duration> retry_after) {
  ++counts_.rate_limited;
  size(w).on_nothing_learned(calls);
  Lane& l = lane(w);
  if (retry_after) {
    retry_after_ = std::max(retry_after_, now + *retry_after);
  } else if (now >= l.limited) {
    // If some calls were answered, the limit is a rate, and the next second allows more.
    if (answered > 0) l.limited_in_a_row = 0;
    l.limited = now + backoff(kRateLimitHold, l.limited_in_a_row++, kLongestHold);
  }
  if (w == Work::poll) return;
  --in_flight_;
  pace_.on_limited(calls, answered, by_call, now);
}

void Endpoint::on_batch_failed(Work w, std::size_t calls, absl::Time now, Trouble t) {
  ++counts_.errors;
  size(w).on_failed(calls, now);
  Lane& l = lane(w);
  l.trouble = std::move(t);
  if (w != Work::poll) --in_flight_;
}

void Endpoint::on_timeout(Work w, std::size_t calls, absl::Time now, Trouble t) {
  ++counts_.errors;
  if (calls == 1) size(w).on_single_failed(now);
  else size(w).on_failed(calls, now);
  if (w == Work::poll) return;
  --in_flight_;
  fail(bulk_, now, std::move(t));
}

void Endpoint::on_error(Work w, std::size_t calls, absl::Time now, Trouble t) {
  ++counts_.errors;
  if (calls == 1) size(w).on_single_failed(now);
  else size(w).on_nothing_learned(calls);
  if (w == Work::poll) return;
  --in_flight_;
  fail(bulk_, now, std::move(t));
}

void Endpoint::on_useless_answer(absl::Time now, Trouble t) {
  ++counts_.errors;
  fail(bulk_, now, std::move(t));
}

void Endpoint::on_overtaken(Work w, std::size_t calls, absl::Time now, absl::Duration took) {
  latencies_[static_cast<std::size_t>(w)].add(took, calls, now, true);
}

void Endpoint::on_cancelled(Work w, std::size_t calls) {
  size(w).on_nothing_learned(calls);
  if (w != Work::poll) --in_flight_;
}

void Endpoint::on_poll(absl::Time now, const Trouble& t) {
  if (limits_.max_requests_per_s > 0) {
    const double share = limits_.max_requests_per_s * kPollShare / static_cast<double>(processes_);
    next_poll_ = now + std::min(absl::Seconds(static_cast<double>(poll_requests_) / share), kLongestPollPause);
  }
  poll_requests_ = 0;
  if (!t) {
    poll_.failures = 0;
    poll_.hold = std::min(poll_.hold, now);
    poll_.trouble = {};
    polled_since_failure_ = true;
    return;
  }
  poll_.trouble = t;
  // After a restart another node may answer; a busy node is still the same one.
  if (t.problem == Problem::unreachable || poll_.failures + 1 >= kFailuresBeforeProbe) failed_since_probe_ = true;
  const absl::Duration longest = kind_ == contract::EndpointKind::unknown ? kLongestProbeHold : kLongestHold;
  poll_.hold = now + backoff(kFirstPollHold, poll_.failures++, longest);
}

void Endpoint::on_probed(absl::Time now, contract::EndpointKind kind, bool raw_methods) {
  kind_ = kind;
  raw_methods_ = raw_methods;
  rejected_ = false;
  probed_ = now;
  failed_since_probe_ = false;
}

bool Endpoint::probe_due(absl::Time now) const {
  return rejected_ || kind_ == contract::EndpointKind::unknown || failed_since_probe_ ||
         now - probed_ > (syncing_ ? kProbeSyncingEach : kProbeEach);
}

void Endpoint::on_unknown_transactions(absl::Time now, std::string why) {
  unknown_transactions_ = {Problem::unknown_transactions, std::move(why)};
  unknown_transactions_until_ = now + kForget;
}

bool Endpoint::on_missing(absl::Time now, std::uint64_t number) {
  if (!head_ || number + kReplicasApart > *head_) return false;
  on_gone(now, number);
  return true;
}

void Endpoint::on_gone(absl::Time now, std::uint64_t number) {
  if (!gone_ || now >= gone_until_) {
    gone_ = number;
    has_ = head_;
  }
  gone_ = std::max(*gone_, number);
  if (has_ && *has_ <= *gone_) has_ = head_;
  gone_until_ = now + kForget;
}

std::optional<std::uint64_t> Endpoint::search_lowest(absl::Time now) const {
  if (!gone_ || now >= gone_until_ || !has_ || *has_ <= *gone_ + 1) return std::nullopt;
  return *gone_ + (*has_ - *gone_) / 2;
}

void Endpoint::refuse(absl::Time now, std::string why) {
  rejected_ = true;
  probe_rejected_ = now + kProbeRejectedEach;
  rejected_why_ = std::move(why);
}

bool Endpoint::quarantine(absl::Time now, std::string why) {
  if (now < quarantined_until_) return false;
  quarantined_until_ = now + doubled(kFirstQuarantine, counts_.integrity_failures++, kLongestQuarantine);
  quarantine_why_ = {Problem::bad_data, std::move(why)};
  return true;
}

void Endpoint::hold(absl::Time now, std::string why) {
  elsewhere_ = now + kHold;
  elsewhere_why_ = std::move(why);
}

void Endpoint::cordon(std::string why) {
  cordoned_ = true;
  cordoned_why_ = std::move(why);
}

absl::Status Endpoint::uncordon() {
  cordoned_ = false;
  quarantined_until_ = elsewhere_ = absl::InfinitePast();
  counts_.integrity_failures = 0;
  if (!rejected_) return absl::OkStatus();
  probe_rejected_ = absl::InfinitePast();
  return absl::FailedPreconditionError(absl::StrCat("no cordon keeps it from being used: ", rejected_why_,
                                                    "; it is probed now, and again each 5 minutes"));
}

}  // namespace towline::fetcher
