#include "services/sync-coordinator/core/backoff.hpp"

#include <gtest/gtest.h>

namespace towline::coordinator {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

TEST(Backoff, EachWaitIsTwiceTheLastOneUpToTheLongest) {
  Backoff b{absl::Milliseconds(200), absl::Seconds(10)};
  EXPECT_FALSE(b.waits(kNow));
  for (const double seconds : {0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0}) {
    b.failed(kNow);
    EXPECT_EQ(b.due(), kNow + absl::Seconds(seconds)) << seconds;
  }
  for (int i = 0; i < 1000; ++i) b.failed(kNow);
  EXPECT_EQ(b.due(), kNow + absl::Seconds(10));
  b.succeeded();
  EXPECT_EQ(b.due(), absl::InfiniteFuture());
  b.failed(kNow);
  EXPECT_EQ(b.due(), kNow + absl::Milliseconds(200)) << "short again";
}

TEST(Backoff, LuckSpreadsTheWaits) {
  Backoff b;
  b.failed(kNow, 1.2);
  EXPECT_EQ(b.due(), kNow + absl::Milliseconds(240));
  b.failed(kNow, 0.8);
  EXPECT_EQ(b.due(), kNow + absl::Milliseconds(320));
}

TEST(Backoff, TheFirstWaitMayBeALongOne) {
  Backoff b;
  b.at_least(3);
  b.failed(kNow);
  EXPECT_EQ(b.due(), kNow + absl::Milliseconds(1600));
  b.at_least(3);
  b.failed(kNow);
  EXPECT_EQ(b.due(), kNow + absl::Milliseconds(3200)) << "not shorter than it would be";
}

TEST(Backoff, AWaitThatIsOverIsDueOnceAndCountsStill) {
  Backoff b;
  b.failed(kNow);
  const absl::Time due = b.due();
  b.expire(due - absl::Nanoseconds(1));
  EXPECT_TRUE(b.waits(due - absl::Nanoseconds(1)));
  EXPECT_EQ(b.due(), due);
  EXPECT_FALSE(b.waits(due));
  b.expire(due);
  EXPECT_EQ(b.due(), absl::InfiniteFuture());
  b.failed(due);
  EXPECT_EQ(b.due(), due + absl::Milliseconds(400));
}

TEST(Backoff, AWaitUntilATimeIsNoFailure) {
  Backoff b;
  b.wait_until(kNow + absl::Minutes(2));
  EXPECT_TRUE(b.waits(kNow + absl::Minutes(1)));
  b.stop_waiting();
  EXPECT_FALSE(b.waits(kNow));
  b.failed(kNow);
  EXPECT_EQ(b.due(), kNow + absl::Milliseconds(200));
}

TEST(Backoffs, WhatIsDueFirstIsDue) {
  Backoffs b;
  EXPECT_EQ(b.due(), absl::InfiniteFuture());
  b.gossip.failed(kNow);
  EXPECT_FALSE(b.waits(kNow)) << "p2p-gossip holds up nothing else";
  EXPECT_EQ(b.due(), kNow + absl::Seconds(1));
  b.source.failed(kNow);
  EXPECT_TRUE(b.waits(kNow));
  EXPECT_FALSE(b.engine.waits(kNow)) << "the p2p network goes on";
  EXPECT_EQ(b.due(), kNow + absl::Milliseconds(200));
  b.expire(kNow + absl::Milliseconds(200));
  EXPECT_EQ(b.due(), kNow + absl::Seconds(1));
  b.engine.failed(kNow);
  b.progress();
  EXPECT_FALSE(b.waits(kNow));
  EXPECT_TRUE(b.gossip.waits(kNow)) << "that the source's blocks come says nothing of p2p-gossip";
}

}  // namespace
}  // namespace towline::coordinator
