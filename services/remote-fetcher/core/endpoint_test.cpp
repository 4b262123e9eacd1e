#include "services/remote-fetcher/core/endpoint.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/remote-fetcher/core/body_batch.hpp"
#include "services/remote-fetcher/core/choice.hpp"
#include "services/remote-fetcher/core/verdict.hpp"

namespace towline::fetcher {
namespace {

using testing::HasSubstr;

const absl::Time t0 = absl::FromUnixSeconds(1'700'000'000);
constexpr absl::Duration kRtt = absl::Milliseconds(50);

/// A jitter of 1: what it waits is what the table says.
Endpoint endpoint(EndpointLimits limits = {}) {
  return Endpoint{"node:8545#1", limits, [] { return 0.5; }};
}

Endpoint ready(EndpointLimits limits = {}) {
  Endpoint e = endpoint(limits);
  e.on_probed(t0, Kind::el, true);
  return e;
}

TEST(Endpoint, IsProbingUntilItIsKnown) {
  Endpoint e = endpoint();
  EXPECT_EQ(e.state(t0), State::probing);
  EXPECT_TRUE(e.probe_due(t0));
  EXPECT_EQ(e.reason(t0), "not probed yet");
  e.on_probed(t0, Kind::cl, false);
  EXPECT_EQ(e.state(t0), State::ready);
  EXPECT_EQ(e.reason(t0), "");
  EXPECT_FALSE(e.probe_due(t0));
}

TEST(Endpoint, IsProbedAgainAfterAFailureAndNowAndThen) {
  Endpoint e = ready();
  e.on_request(t0);
  e.on_error(t0, "connection refused");
  EXPECT_TRUE(e.probe_due(t0));
  e.on_probed(t0, Kind::el, true);
  EXPECT_FALSE(e.probe_due(t0 + absl::Seconds(59)));
  EXPECT_TRUE(e.probe_due(t0 + absl::Seconds(61)));
}

TEST(Endpoint, BacksOffForLongerEachTimeAndAtMostSoLong) {
  Endpoint e = ready();
  absl::Time now = t0;
  absl::Duration last;
  for (int i = 0; i < 12; ++i) {
    e.on_request(now);
    e.on_error(now, "reset");
    const absl::Duration wait = e.allowed_at(now) - now;
    EXPECT_GE(wait, last);
    EXPECT_EQ(e.state(now), State::backing_off);
    EXPECT_EQ(e.reason(now), "reset");
    last = wait;
    now += wait;
  }
  EXPECT_EQ(last, absl::Seconds(15));
  e.on_request(now);
  e.on_success(now, kRtt);
  EXPECT_EQ(e.state(now), State::ready);
  e.on_request(now);
  e.on_error(now, "reset");
  EXPECT_EQ(e.allowed_at(now) - now, absl::Milliseconds(200)) << "a success starts anew";
}

TEST(Endpoint, BackOffIsSpreadByTheJitter) {
  double r = 0;
  Endpoint e{"x", {}, [&] { return r; }};
  e.on_request(t0);
  e.on_error(t0, "reset");
  EXPECT_EQ(e.allowed_at(t0) - t0, absl::Milliseconds(150));
  r = 0.999;
  Endpoint f{"x", {}, [&] { return r; }};
  f.on_request(t0);
  f.on_error(t0, "reset");
  EXPECT_GT(f.allowed_at(t0) - t0, absl::Milliseconds(249));
}

TEST(Endpoint, RequestsThatFailTogetherAreOneFailure) {
  Endpoint e = ready();
  for (int i = 0; i < 16; ++i) e.on_request(t0);
  for (int i = 0; i < 16; ++i) e.on_error(t0 + absl::Milliseconds(i), "reset");
  EXPECT_EQ(e.allowed_at(t0), t0 + absl::Milliseconds(200));
  EXPECT_EQ(e.counts().errors, 16U);
  EXPECT_EQ(e.in_flight(), 0);
}

TEST(Endpoint, RetryAfterIsObeyedWhateverSucceedsMeanwhile) {
  Endpoint e = ready();
  e.on_request(t0);
  e.on_request(t0);
  e.on_rate_limit(t0, absl::Seconds(30));
  e.on_success(t0 + kRtt, kRtt);
  EXPECT_EQ(e.allowed_at(t0 + kRtt), t0 + absl::Seconds(30));
  EXPECT_EQ(e.state(t0 + absl::Seconds(29)), State::backing_off);
  EXPECT_EQ(e.reason(t0 + absl::Seconds(29)), "rate limited");
  EXPECT_EQ(e.state(t0 + absl::Seconds(30)), State::ready);
  EXPECT_EQ(e.counts().rate_limited, 1U);
}

TEST(Endpoint, RateLimitsWithoutARetryAfterWaitForLongerEachTime) {
  Endpoint e = ready();
  absl::Time now = t0;
  for (const int seconds : {1, 2, 4, 8, 15, 15}) {
    e.on_request(now);
    e.on_rate_limit(now, {});
    EXPECT_EQ(e.allowed_at(now) - now, absl::Seconds(seconds));
    now = e.allowed_at(now);
  }
}

TEST(Endpoint, HoldsItsSlotsAndItsRate) {
  Endpoint e = ready({2, 10});
  EXPECT_EQ(e.next_slot(t0), t0);
  e.on_request(t0);
  EXPECT_EQ(e.next_slot(t0), t0 + absl::Milliseconds(100));
  e.on_request(t0 + absl::Milliseconds(100));
  EXPECT_EQ(e.next_slot(t0 + absl::Seconds(1)), absl::InfiniteFuture());
  EXPECT_EQ(e.allowed_at(t0 + absl::Seconds(1)), t0 + absl::Seconds(1)) << "polls do not wait for bulk work";
  e.on_success(t0 + absl::Seconds(1), kRtt);
  EXPECT_EQ(e.next_slot(t0 + absl::Seconds(1)), t0 + absl::Seconds(1));
}

TEST(Endpoint, BatchesShrinkToOneAndGrowAgain) {
  Endpoint e = ready();
  for (const std::size_t expected : {50U, 25U, 12U, 6U, 3U, 1U, 1U}) {
    e.on_request(t0);
    e.on_too_large(e.max_batch());
    EXPECT_EQ(e.max_batch(), expected);
  }
  for (int i = 0; i < 200; ++i) {
    e.on_request(t0);
    e.on_success(t0, kRtt);
  }
  EXPECT_EQ(e.max_batch(), 2U);
  e.on_request(t0);
  e.on_timeout(t0, "no whole answer", 1);
  EXPECT_EQ(e.max_batch(), 2U) << "one alone cannot be cut";
}

TEST(Endpoint, LiesCostMoreEachTime) {
  Endpoint e = ready();
  EXPECT_TRUE(e.set_aside(t0, "transactionsRoot"));
  EXPECT_FALSE(e.set_aside(t0, "transactionsRoot"));
  EXPECT_EQ(e.counts().lies, 1U) << "answers that were on their way are the same lie";
  EXPECT_EQ(e.state(t0 + absl::Seconds(9)), State::set_aside);
  EXPECT_EQ(e.reason(t0), "transactionsRoot");
  const absl::Time later = t0 + absl::Seconds(10);
  EXPECT_EQ(e.state(later), State::ready);
  e.set_aside(later, "hash");
  EXPECT_EQ(e.allowed_at(later), later + absl::Seconds(20));
  e.uncordon();
  EXPECT_EQ(e.state(later), State::ready);
  EXPECT_EQ(e.counts().lies, 0U);
}

TEST(Endpoint, SteppingAsideIsShortAndNoLie) {
  Endpoint e = ready();
  e.step_aside(t0, "behind");
  EXPECT_EQ(e.state(t0), State::set_aside);
  EXPECT_EQ(e.state(t0 + absl::Seconds(3)), State::ready);
  EXPECT_EQ(e.counts().lies, 0U);
  e.set_aside(t0, "lie");
  e.step_aside(t0, "behind");
  EXPECT_EQ(e.reason(t0), "lie") << "and does not shorten a set-aside";
}

TEST(Endpoint, CordonsAndRefusalsHold) {
  Endpoint e = ready();
  e.cordon("maintenance");
  EXPECT_EQ(e.state(t0), State::cordoned);
  EXPECT_EQ(e.reason(t0), "maintenance");
  EXPECT_EQ(e.allowed_at(t0), absl::InfiniteFuture());
  e.uncordon();
  EXPECT_EQ(e.state(t0), State::ready);
  e.refuse("another chain");
  e.uncordon();
  EXPECT_EQ(e.state(t0), State::refused);
  EXPECT_EQ(e.reason(t0), "another chain");
}

TEST(Choice, TakesTheLeastBusyAndThePreferred) {
  Endpoint a = ready(), b = ready(), cl = endpoint();
  cl.on_probed(t0, Kind::cl, false);
  a.on_request(t0);
  const Endpoint* all[] = {&a, &b, &cl};
  EXPECT_EQ(choose_el(all, {}, {}, t0).endpoint, 1U);
  EXPECT_EQ(choose_el(all, {}, 0U, t0).endpoint, 0U);
  EXPECT_EQ(choose_el(all, {1}, {}, t0).endpoint, 0U);
  EXPECT_EQ(choose_el(all, {}, 2U, t0).endpoint, 1U) << "a CL has no blocks";
  const Choice none = choose_el(all, {0, 1}, {}, t0);
  EXPECT_FALSE(none.endpoint);
  EXPECT_FALSE(none.possible);
}

TEST(Choice, LeavesFailedOnesAloneWhileAnotherCanDoIt) {
  Endpoint a = ready({1, 0}), b = ready({1, 0});
  a.on_request(t0);
  a.on_error(t0, "no whole answer");
  const Endpoint* all[] = {&a, &b};
  const absl::Time later = t0 + absl::Seconds(5);
  b.on_request(t0);
  const Choice busy = choose_el(all, {}, {}, later);
  EXPECT_FALSE(busy.endpoint) << "b is busy, but a hung last time";
  EXPECT_TRUE(busy.possible);
  EXPECT_EQ(choose_el(all, {1}, {}, later).endpoint, 0U) << "alone it is tried again";
  a.on_request(later);
  a.on_success(later, kRtt);
  EXPECT_EQ(choose_el(all, {}, {}, later).endpoint, 0U);
}

TEST(Choice, SaysWhenToLookAgain) {
  Endpoint a = ready();
  a.on_request(t0);
  a.on_rate_limit(t0, absl::Seconds(7));
  const Endpoint* all[] = {&a};
  const Choice c = choose_el(all, {}, {}, t0);
  EXPECT_TRUE(c.possible);
  EXPECT_EQ(c.not_before, t0 + absl::Seconds(7));
}

TEST(Verdict, OnlyWhatEverybodyFailsIsOurFault) {
  EXPECT_FALSE(rule_we_miss({}, false));
  EXPECT_THAT(*rule_we_miss({{0, "transactionsRoot: a"}, {1, "transactionsRoot: b"}}, false),
              HasSubstr("transactionsRoot"));
  EXPECT_FALSE(rule_we_miss({{0, "transactionsRoot: a"}, {1, "withdrawals: b"}}, false));
  EXPECT_FALSE(rule_we_miss({{0, "transactionsRoot: a"}}, true))
      << "the others have not got it, so nothing is known of them";
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
