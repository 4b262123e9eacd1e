#include "services/remote-fetcher/core/endpoint.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "services/remote-fetcher/core/body_batch.hpp"
#include "services/remote-fetcher/core/choice.hpp"
#include "services/remote-fetcher/core/fault_attribution.hpp"

namespace towline::fetcher {
namespace {

using testing::HasSubstr;

const absl::Time t0 = absl::FromUnixSeconds(1'700'000'000);
constexpr absl::Duration kRtt = absl::Milliseconds(50);

/// A jitter factor of exactly 1: waits are those of the table.
Endpoint endpoint(EndpointLimits limits = {}) {
  return Endpoint{"node:8545#1", limits, [] { return 0.5; }};
}

Endpoint ready(EndpointLimits limits = {}) {
  Endpoint e = endpoint(limits);
  e.on_probed(t0, contract::EndpointKind::el, true);
  return e;
}

const Trouble kReset{Problem::unreachable, "reset"};

/// The endpoint fails once in bulk work.
void fails(Endpoint& e, absl::Time now) {
  e.on_request(Work::headers, 1, now);
  e.on_error(Work::headers, 1, now, kReset);
}
void works(Endpoint& e, absl::Time now, std::size_t calls = 1) {
  e.on_request(Work::headers, calls, now);
  e.on_answered(Work::headers, calls, now, kRtt);
}

TEST(Endpoint, IsProbingUntilItIsKnown) {
  Endpoint e = endpoint();
  EXPECT_EQ(e.state(t0), State::probing);
  EXPECT_TRUE(e.probe_due(t0));
  EXPECT_EQ(e.trouble(t0).problem, Problem::not_asked);
  e.on_probed(t0, contract::EndpointKind::cl, false);
  EXPECT_EQ(e.state(t0), State::ready);
  EXPECT_FALSE(e.trouble(t0));
  EXPECT_FALSE(e.probe_due(t0));
}

TEST(Endpoint, IsProbedAgainAfterAFailureAndNowAndThen) {
  Endpoint e = ready();
  fails(e, t0);
  EXPECT_TRUE(e.probe_due(t0));
  e.on_probed(t0, contract::EndpointKind::el, true);
  EXPECT_FALSE(e.probe_due(t0 + absl::Seconds(59)));
  EXPECT_TRUE(e.probe_due(t0 + absl::Seconds(61)));
}

TEST(Endpoint, ThatIsOfNoUseIsAskedLessAndLessOften) {
  Endpoint e = endpoint();
  absl::Time now = t0;
  int polls = 0;
  for (; now < t0 + absl::Minutes(10); ++polls) {
    e.on_poll(now, {Problem::not_a_node, "neither"});
    EXPECT_EQ(e.trouble(now).problem, Problem::not_a_node);
    EXPECT_GT(e.next_poll(now), now);
    now = e.next_poll(now);
  }
  EXPECT_LT(polls, 20);
  EXPECT_EQ(e.next_poll(now) - now, absl::ZeroDuration());
  e.on_poll(now, {Problem::not_a_node, "neither"});
  EXPECT_EQ(e.next_poll(now) - now, absl::Minutes(1)) << "and is never given up";
}

TEST(Endpoint, BacksOffForLongerEachTimeAndAtMostSoLong) {
  Endpoint e = ready();
  absl::Time now = t0;
  absl::Duration last;
  for (int i = 0; i < 12; ++i) {
    fails(e, now);
    const absl::Duration wait = e.next_bulk(now) - now;
    EXPECT_GE(wait, last);
    EXPECT_EQ(e.state(now), State::backing_off);
    EXPECT_EQ(e.trouble(now).why, "reset");
    last = wait;
    now += wait;
  }
  EXPECT_EQ(last, absl::Seconds(15));
  works(e, now);
  EXPECT_EQ(e.state(now), State::ready);
  fails(e, now);
  EXPECT_EQ(e.next_bulk(now) - now, absl::Milliseconds(200)) << "a success starts anew";
}

TEST(Endpoint, BulkWorkThatFailsDoesNotStarvePollsNorTheOtherWayRound) {
  Endpoint e = ready();
  for (int i = 0; i < 10; ++i) fails(e, t0 + absl::Seconds(i));
  const absl::Time now = t0 + absl::Seconds(9);
  EXPECT_GT(e.next_bulk(now), now);
  EXPECT_EQ(e.next_poll(now), now);
  e.on_request(Work::headers, 1, now);
  e.on_rate_limit(Work::headers, 1, 0, false, now, {});
  EXPECT_EQ(e.next_poll(now), now);
  Endpoint f = ready();
  f.on_poll(t0, kReset);
  EXPECT_GT(f.next_poll(t0), t0);
  EXPECT_EQ(f.next_bulk(t0), t0);
}

TEST(Endpoint, OneThatFailedGetsOneCallUntilThatIsAnswered) {
  Endpoint e = ready();
  works(e, t0, 50);
  EXPECT_GE(e.max_batch(Work::headers, t0), 50U);
  fails(e, t0);
  const absl::Time later = t0 + absl::Seconds(1);
  EXPECT_EQ(e.max_batch(Work::headers, later), 1U);
  EXPECT_EQ(e.next_bulk(later), later);
  e.on_request(Work::headers, 1, later);
  EXPECT_EQ(e.next_bulk(later), absl::InfiniteFuture());
  e.on_answered(Work::headers, 1, later, kRtt);
  EXPECT_EQ(e.next_bulk(later), later);
  EXPECT_GE(e.max_batch(Work::headers, later), 50U);
}

TEST(Endpoint, BackOffIsSpreadByTheJitter) {
  double r = 0;
  Endpoint e{"x", {}, [&] { return r; }};
  fails(e, t0);
  EXPECT_EQ(e.next_bulk(t0) - t0, absl::Milliseconds(150));
  r = 0.999;
  Endpoint f{"x", {}, [&] { return r; }};
  fails(f, t0);
  EXPECT_GT(f.next_bulk(t0) - t0, absl::Milliseconds(249));
}

TEST(Endpoint, RequestsThatFailTogetherAreOneFailure) {
  Endpoint e = ready();
  for (int i = 0; i < 16; ++i) e.on_request(Work::headers, 1, t0);
  for (int i = 0; i < 16; ++i) e.on_error(Work::headers, 1, t0 + absl::Milliseconds(i), kReset);
  EXPECT_EQ(e.next_bulk(t0), t0 + absl::Milliseconds(200));
  EXPECT_EQ(e.counts().errors, 16U);
  EXPECT_EQ(e.in_flight(), 0);
}

TEST(Endpoint, RetryAfterIsObeyedByAllWorkWhateverSucceedsMeanwhile) {
  Endpoint e = ready();
  e.on_request(Work::headers, 1, t0);
  e.on_request(Work::headers, 1, t0);
  e.on_rate_limit(Work::headers, 1, 0, false, t0, absl::Seconds(30));
  e.on_answered(Work::headers, 1, t0 + kRtt, kRtt);
  EXPECT_EQ(e.next_bulk(t0 + kRtt), t0 + absl::Seconds(30));
  EXPECT_EQ(e.next_poll(t0 + kRtt), t0 + absl::Seconds(30));
  EXPECT_EQ(e.state(t0 + absl::Seconds(29)), State::backing_off);
  EXPECT_EQ(e.trouble(t0 + absl::Seconds(29)).problem, Problem::rate_limited);
  EXPECT_EQ(e.state(t0 + absl::Seconds(30)), State::ready);
  EXPECT_EQ(e.counts().rate_limited, 1U);
}

TEST(Endpoint, RateLimitsWithoutARetryAfterWaitForLongerEachTime) {
  Endpoint e = ready();
  absl::Time now = t0;
  for (const int seconds : {1, 2, 4, 8, 15, 15}) {
    e.on_request(Work::headers, 1, now);
    e.on_rate_limit(Work::headers, 1, 0, false, now, {});
    EXPECT_EQ(e.next_bulk(now) - now, absl::Seconds(seconds));
    now = e.next_bulk(now);
  }
}

TEST(Endpoint, HoldsItsSlotsAndItsRate) {
  Endpoint e = ready({2, 10, 0});
  EXPECT_EQ(e.next_bulk(t0), t0);
  e.on_request(Work::headers, 1, t0);
  EXPECT_GT(e.next_bulk(t0), t0 + absl::Milliseconds(100)) << "polls have a share of the ten";
  EXPECT_LT(e.next_bulk(t0), t0 + absl::Milliseconds(140));
  e.on_request(Work::headers, 1, t0 + absl::Milliseconds(140));
  EXPECT_EQ(e.next_bulk(t0 + absl::Seconds(1)), absl::InfiniteFuture());
  EXPECT_EQ(e.next_poll(t0 + absl::Seconds(1)), t0 + absl::Seconds(1)) << "polls do not wait for bulk work";
  e.on_answered(Work::headers, 1, t0 + absl::Seconds(1), kRtt);
  EXPECT_EQ(e.next_bulk(t0 + absl::Seconds(1)), t0 + absl::Seconds(1));
}

TEST(Endpoint, PollsNeverEatTheBudgetOfBulkWork) {
  Endpoint e = ready({16, 1, 0});
  int polls = 0;
  int bulk = 0;
  for (absl::Time now = t0; now < t0 + absl::Seconds(40); now += absl::Milliseconds(100)) {
    if (e.next_poll(now) <= now) {
      e.on_request(Work::poll, 3, now);
      e.on_answered(Work::poll, 3, now, kRtt);
      e.on_poll(now, {});
      ++polls;
    }
    if (e.next_bulk(now) <= now) {
      works(e, now);
      ++bulk;
    }
  }
  EXPECT_LE(polls + bulk, 42);
  EXPECT_GE(bulk, 28);
  EXPECT_GE(polls, 9);
}

TEST(Endpoint, BodiesAskForNoMoreThanHeadersHaveShownToWork) {
  Endpoint e = ready();
  EXPECT_EQ(e.max_batch(Work::headers, t0), Endpoint::kMaxBatch);
  EXPECT_EQ(e.max_batch(Work::bodies, t0), 1U);
  works(e, t0, 25);
  EXPECT_EQ(e.max_batch(Work::bodies, t0), 25U);
  e.on_request(Work::bodies, 25, t0);
  e.on_batch_failed(Work::bodies, 25, t0, {Problem::not_json_rpc, "truncated"});
  EXPECT_EQ(e.max_batch(Work::bodies, t0), 12U);
  EXPECT_GE(e.max_batch(Work::headers, t0), 25U) << "bodies are larger";
}

TEST(Endpoint, TheOperatorsBatchLimitIsNeverExceeded) {
  Endpoint e = ready({16, 0, 5});
  for (int i = 0; i < 10; ++i) {
    const std::size_t n = e.max_batch(Work::headers, t0 + absl::Seconds(10 * i));
    EXPECT_LE(n, 5U);
    works(e, t0 + absl::Seconds(10 * i), n);
  }
}

TEST(Endpoint, BlocksThatAreGoneAreNotAskedForAgainAndTheLowestIsFound) {
  Endpoint e = ready();
  EXPECT_FALSE(e.on_missing(t0, 1)) << "its head is not known yet";
  e.on_head(1000);
  EXPECT_FALSE(e.on_missing(t0, 990)) << "one of its replicas may be behind";
  EXPECT_TRUE(e.on_missing(t0, 1));
  EXPECT_TRUE(e.has_gone(t0, 1));
  EXPECT_FALSE(e.has_gone(t0, 2));
  EXPECT_EQ(e.trouble(t0).problem, Problem::pruned);
  int steps = 0;
  while (const auto n = e.search_lowest(t0)) {
    ASSERT_LT(++steps, 12);
    if (*n >= 100) e.on_has(*n);
    else e.on_gone(t0, *n);
  }
  EXPECT_THAT(e.trouble(t0).why, HasSubstr("no blocks below 100"));
  EXPECT_TRUE(e.has_gone(t0, 99));
  EXPECT_FALSE(e.has_gone(t0, 100));
  EXPECT_FALSE(e.has_gone(t0 + absl::Minutes(11), 99)) << "they may come back";
}

TEST(BatchSize, IsHalvedToSinglesAndGrowsByTrying) {
  absl::Time now = t0;
  BatchSize b{100};
  // The server takes at most three.
  int failed = 0;
  const auto ask = [&] {
    const std::size_t n = b.limit(now);
    b.on_sent(n);
    if (n > 3) {
      ++failed;
      b.on_failed(n, now);
    } else {
      b.on_worked(n, now);
    }
    return n;
  };
  for (int i = 0; i < 10; ++i) ask();
  EXPECT_EQ(b.works(), 3U);
  EXPECT_EQ(failed, 5) << "100, 50, 25, 12, 6";
  for (int i = 0; i < 3600; ++i) {
    now += absl::Seconds(1);
    ask();
  }
  EXPECT_LT(failed, 30) << "trials come less and less often";
}

TEST(BatchSize, TriesOneLargerBatchAtATime) {
  BatchSize b{100};
  EXPECT_EQ(b.limit(t0), 100U);
  b.on_sent(100);
  EXPECT_EQ(b.limit(t0), 1U);
  b.on_worked(100, t0);
  EXPECT_EQ(b.limit(t0), 100U);
}

TEST(BatchSize, WhatHasWorkedIsHalvedWhenItFailsTwiceAndThenTriedOneAtATime) {
  BatchSize b{100};
  b.on_sent(100);
  b.on_worked(100, t0);
  for (int i = 0; i < 16; ++i) b.on_sent(100);
  b.on_failed(100, t0);
  EXPECT_EQ(b.limit(t0), 100U) << "by chance, perhaps";
  for (int i = 0; i < 15; ++i) b.on_failed(100, t0);
  EXPECT_EQ(b.limit(t0), 50U) << "the others of that size are the same failure";
  b.on_sent(50);
  b.on_failed(50, t0);
  EXPECT_EQ(b.limit(t0), 25U);
  b.on_sent(25);
  EXPECT_EQ(b.limit(t0), 1U);
  b.on_worked(25, t0);
  EXPECT_EQ(b.limit(t0), 25U) << "50 has failed just now";
  EXPECT_EQ(b.limit(t0 + absl::Seconds(1)), 50U);
}

TEST(BatchSize, ThatFailsByChanceNowAndThenStaysLarge) {
  BatchSize b{100};
  std::size_t calls = 0;
  absl::Time now = t0;
  for (int i = 0; i < 400; ++i) {
    now += absl::Milliseconds(200);
    const std::size_t n = b.limit(now);
    b.on_sent(n);
    if (i % 4 == 3) {
      if (n > 1) b.on_failed(n, now);
      else b.on_single_failed(now);
    } else {
      b.on_worked(n, now);
      calls += n;
    }
  }
  EXPECT_GT(calls, 300U * 20);
}

TEST(BatchSize, IsWhatItWasWhenSinglesFailToo) {
  BatchSize b{100};
  b.on_sent(100);
  b.on_worked(100, t0);
  while (b.limit(t0) > 1) {
    const std::size_t n = b.limit(t0);
    b.on_sent(n);
    b.on_failed(n, t0);
  }
  b.on_single_failed(t0);
  EXPECT_EQ(b.limit(t0), 100U);
}

TEST(BatchSize, ATrialThatFailedIsMadeAgainAtOnceWhenASingleFailsToo) {
  BatchSize b{100};
  b.on_sent(2);
  b.on_failed(2, t0);
  EXPECT_EQ(b.limit(t0), 1U);
  b.on_sent(1);
  b.on_single_failed(t0);
  EXPECT_EQ(b.limit(t0), 2U);
  std::size_t calls = 2;
  for (; calls < 100; calls = b.limit(t0)) {
    b.on_sent(calls);
    b.on_worked(calls, t0);
  }
  EXPECT_EQ(b.limit(t0), 100U) << "no wait between the trials: none of these sizes has failed";
}

TEST(BatchSize, ATrialThatToldNothingIsMadeAgain) {
  BatchSize b{100};
  b.on_sent(100);
  b.on_nothing_learned(100);
  EXPECT_EQ(b.limit(t0), 100U);
}

/// A server that takes this many calls (or requests) per second, asked as fast as the pace allows.
struct Limited {
  double calls_per_s = 0;
  double requests_per_s = 0;
  bool partial = false;
  std::size_t batch = 100;

  struct Got {
    std::size_t calls = 0;
    int useless = 0;
  };
  Got run(absl::Duration time) {
    Pace pace{0};
    Got got;
    double calls = calls_per_s, requests = requests_per_s;
    absl::Time limited = t0, last = t0;
    for (absl::Time now = t0; now < t0 + time; now += absl::Milliseconds(10)) {
      calls = std::min(calls_per_s, calls + calls_per_s * absl::ToDoubleSeconds(now - last));
      requests = std::min(requests_per_s, requests + requests_per_s * absl::ToDoubleSeconds(now - last));
      last = now;
      if (now < limited || now < pace.next()) continue;
      const std::size_t n = std::min(batch, pace.most_calls());
      pace.on_sent(n, now);
      std::size_t answered = n;
      if (calls_per_s > 0 && static_cast<double>(n) > calls) answered = partial ? static_cast<std::size_t>(calls) : 0;
      if (requests_per_s > 0 && requests < 1) answered = 0;
      calls -= static_cast<double>(answered);
      if (answered > 0) requests -= 1;
      got.calls += answered;
      if (answered == n) {
        pace.on_answered(n, now);
        continue;
      }
      if (answered == 0) ++got.useless;
      pace.on_limited(n, answered, calls_per_s > 0 && partial, now);
      limited = now + absl::Seconds(1);
    }
    return got;
  }
};

TEST(Pace, FindsARateThatCountsCalls) {
  for (const bool partial : {true, false}) {
    for (const double rate : {25, 50, 120}) {
      const auto got = Limited{rate, 0, partial, 100}.run(absl::Minutes(1));
      EXPECT_GT(static_cast<double>(got.calls), 60 * rate * 0.4) << rate << partial;
      EXPECT_LT(got.useless, 30) << rate << partial;
    }
  }
}

TEST(Pace, FindsARateThatCountsRequests) {
  const auto got = Limited{0, 4, false, 100}.run(absl::Minutes(1));
  EXPECT_GT(got.calls, 60U * 4 * 100 * 2 / 5);
  EXPECT_LT(got.useless, 30);
}

TEST(Pace, ALimitIsSharedByReplicasThatComeAndGo) {
  Pace p{30};
  const auto sent_in_a_minute = [&](absl::Time from) {
    int sent = 0;
    for (absl::Time now = from; now < from + absl::Minutes(1); now += absl::Milliseconds(1)) {
      if (now < p.next()) continue;
      p.on_sent(1, now);
      p.on_answered(1, now);
      ++sent;
    }
    return sent;
  };
  EXPECT_NEAR(sent_in_a_minute(t0), 1800, 60);
  p.share_between(3);
  EXPECT_NEAR(sent_in_a_minute(t0 + absl::Minutes(2)), 600, 20);
  p.share_between(1);
  EXPECT_NEAR(sent_in_a_minute(t0 + absl::Minutes(4)), 1800, 60);
  Pace unlimited{0};
  unlimited.share_between(3);
  unlimited.on_sent(1, t0);
  EXPECT_LE(unlimited.next(), t0);
}

TEST(Pace, OfAnIdleEndpointIsNotLearnedFromItsIdleness) {
  Pace p{0};
  for (int i = 0; i < 600; ++i) {
    p.on_sent(4, t0 + absl::Seconds(6 * i));
    p.on_answered(4, t0 + absl::Seconds(6 * i));
  }
  const absl::Time now = t0 + absl::Hours(1);
  for (int i = 0; i < 10; ++i) p.on_answered(100, now);
  p.on_limited(100, 0, false, now + absl::Seconds(1));
  EXPECT_GT(p.calls_per_s(), 100);
}

TEST(Problem, EachHasACodeAndAnAdvice) {
  std::set<std::string> codes;
  for (int i = 1; i <= static_cast<int>(Problem::cordoned); ++i) {
    const auto p = static_cast<Problem>(i);
    EXPECT_TRUE(codes.insert(std::string{reason_code(p)}).second);
    EXPECT_FALSE(advice(p).empty());
  }
}

TEST(Endpoint, LiesCostMoreEachTime) {
  Endpoint e = ready();
  EXPECT_TRUE(e.quarantine(t0, "transactionsRoot"));
  EXPECT_FALSE(e.quarantine(t0, "transactionsRoot"));
  EXPECT_EQ(e.counts().integrity_failures, 1U) << "answers that were on their way are the same lie";
  EXPECT_EQ(e.state(t0 + absl::Seconds(9)), State::quarantined);
  EXPECT_EQ(e.trouble(t0).why, "transactionsRoot");
  EXPECT_EQ(e.trouble(t0).problem, Problem::bad_data);
  const absl::Time later = t0 + absl::Seconds(10);
  EXPECT_EQ(e.state(later), State::ready);
  e.quarantine(later, "hash");
  EXPECT_EQ(e.next_bulk(later), later + absl::Seconds(20));
  EXPECT_TRUE(e.uncordon().ok());
  EXPECT_EQ(e.state(later), State::ready);
  EXPECT_EQ(e.counts().integrity_failures, 0U);
}

TEST(Endpoint, AHoldIsShortAndNoLie) {
  Endpoint e = ready();
  e.hold(t0, "behind");
  EXPECT_EQ(e.state(t0), State::backing_off);
  EXPECT_EQ(e.next_poll(t0), t0) << "its heads count on";
  EXPECT_EQ(e.next_bulk(t0), t0 + absl::Seconds(3));
  EXPECT_EQ(e.state(t0 + absl::Seconds(3)), State::ready);
  EXPECT_EQ(e.counts().integrity_failures, 0U);
  e.quarantine(t0, "lie");
  e.hold(t0, "behind");
  EXPECT_EQ(e.trouble(t0).why, "lie") << "and does not shorten a quarantine";
}

TEST(Endpoint, CordonsAndRefusalsHold) {
  Endpoint e = ready();
  e.cordon("maintenance");
  EXPECT_EQ(e.state(t0), State::cordoned);
  EXPECT_EQ(e.trouble(t0).why, "maintenance");
  EXPECT_EQ(e.next_bulk(t0), absl::InfiniteFuture());
  EXPECT_TRUE(e.uncordon().ok());
  EXPECT_EQ(e.state(t0), State::ready);
  e.refuse(t0, "another chain");
  EXPECT_EQ(e.state(t0), State::rejected);
  EXPECT_EQ(e.trouble(t0).why, "another chain");
  EXPECT_EQ(e.next_bulk(t0), absl::InfiniteFuture());
}

TEST(Endpoint, ARefusedOneIsProbedEachFiveMinutesAndAtOnceByUncordon) {
  Endpoint e = ready();
  e.refuse(t0, "another chain");
  EXPECT_EQ(e.next_poll(t0), t0 + absl::Minutes(5));
  EXPECT_TRUE(e.probe_due(t0 + absl::Minutes(5)));
  e.refuse(t0 + absl::Minutes(5), "another chain");
  EXPECT_EQ(e.next_poll(t0), t0 + absl::Minutes(10));
  const absl::Status why = e.uncordon();
  EXPECT_TRUE(absl::IsFailedPrecondition(why)) << why;
  EXPECT_NE(why.message().find("another chain"), absl::string_view::npos) << why;
  EXPECT_EQ(e.next_poll(t0), t0);
  e.cordon("maintenance");
  EXPECT_EQ(e.next_poll(t0), absl::InfiniteFuture());
  EXPECT_FALSE(e.uncordon().ok());
  e.on_probed(t0, contract::EndpointKind::el, false);
  EXPECT_EQ(e.state(t0), State::ready);
  EXPECT_TRUE(e.uncordon().ok());
}

TEST(Choice, TakesTheLeastBusyAndThePreferred) {
  Endpoint a = ready(), b = ready(), cl = endpoint();
  cl.on_probed(t0, contract::EndpointKind::cl, false);
  a.on_request(Work::headers, 1, t0);
  const Endpoint* all[] = {&a, &b, &cl};
  EXPECT_EQ(choose_el(all, {}, {}, {}, t0).endpoint, 1U);
  EXPECT_EQ(choose_el(all, {}, {}, 0U, t0).endpoint, 0U);
  EXPECT_EQ(choose_el(all, {1}, {}, {}, t0).endpoint, 0U);
  EXPECT_EQ(choose_el(all, {}, {}, 2U, t0).endpoint, 1U) << "a CL has no blocks";
  const Choice none = choose_el(all, {0, 1}, {}, {}, t0);
  EXPECT_FALSE(none.endpoint);
  EXPECT_FALSE(none.possible);
  a.on_head(1000);
  a.on_missing(t0, 10);
  EXPECT_EQ(choose_el(all, {1}, 10, {}, t0).possible, false) << "that block is gone there";
  EXPECT_EQ(choose_el(all, {1}, 11, {}, t0).endpoint, 0U);
}

TEST(Choice, LeavesFailedOnesAloneWhileAnotherCanDoIt) {
  Endpoint a = ready({1, 0, 0}), b = ready({1, 0, 0});
  fails(a, t0);
  const Endpoint* all[] = {&a, &b};
  const absl::Time later = t0 + absl::Seconds(5);
  b.on_request(Work::headers, 1, t0);
  const Choice busy = choose_el(all, {}, {}, {}, later);
  EXPECT_FALSE(busy.endpoint) << "b is busy, but a hung last time";
  EXPECT_TRUE(busy.possible);
  EXPECT_EQ(choose_el(all, {1}, {}, {}, later).endpoint, 0U) << "alone it is tried again";
  works(a, later);
  EXPECT_EQ(choose_el(all, {}, {}, {}, later).endpoint, 0U);
}

TEST(Choice, SaysWhenToLookAgain) {
  Endpoint a = ready();
  a.on_request(Work::headers, 1, t0);
  a.on_rate_limit(Work::headers, 1, 0, false, t0, absl::Seconds(7));
  const Endpoint* all[] = {&a};
  const Choice c = choose_el(all, {}, {}, {}, t0);
  EXPECT_TRUE(c.possible);
  EXPECT_EQ(c.not_before, t0 + absl::Seconds(7));
}

TEST(FaultAttribution, OnlyWhatEverybodyFailsIsOurFault) {
  EXPECT_FALSE(rule_we_miss({}, false));
  EXPECT_THAT(*rule_we_miss({{0, "transactionsRoot: a"}, {1, "transactionsRoot: b"}}, false),
              HasSubstr("transactionsRoot"));
  EXPECT_FALSE(rule_we_miss({{0, "transactionsRoot: a"}, {1, "withdrawals: b"}}, false));
  EXPECT_FALSE(rule_we_miss({{0, "transactionsRoot: a"}}, true))
      << "the others do not have it, so nothing is known of them";
}

TEST(BodyBatch, AimsAtItsBytes) {
  BodyBatch b;
  EXPECT_GE(b.blocks(), 1U);
  for (int i = 0; i < 30; ++i) b.on_answer(1, 8U << 20U);
  EXPECT_EQ(b.blocks(), 1U);
  for (int i = 0; i < 60; ++i) b.on_answer(4, 4 * (256U << 10U));
  EXPECT_EQ(b.blocks(), 4U);
  for (int i = 0; i < 60; ++i) b.on_answer(1, 0);
  EXPECT_EQ(b.blocks(), BodyBatch::kMaxBlocks);
}

}  // namespace
}  // namespace towline::fetcher
