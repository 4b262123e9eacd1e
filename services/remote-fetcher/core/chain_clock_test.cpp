#include "services/remote-fetcher/core/chain_clock.hpp"

#include <gtest/gtest.h>

namespace towline::fetcher {
namespace {

const absl::Time t0 = absl::FromUnixSeconds(1'700'000'000);

TEST(ChainClock, IsWhatMostGroupsHaveComeTo) {
  ChainClock c{{{"a", "x"}, {"b", "y"}, {"c", "z"}, {"d", "z"}}};
  EXPECT_EQ(c.at_least(t0), absl::InfinitePast());
  c.heard("a", t0 + absl::Hours(9), t0);
  EXPECT_EQ(c.at_least(t0), absl::InfinitePast()) << "one of three";
  c.heard("b", t0 + absl::Minutes(5), t0);
  EXPECT_EQ(c.at_least(t0), t0 + absl::Minutes(5));
  c.heard("c", t0 + absl::Minutes(7), t0);
  EXPECT_EQ(c.at_least(t0), t0 + absl::Minutes(7)) << "a lying source alone moves nothing";
  c.heard("d", t0 - absl::Minutes(1), t0);
  EXPECT_EQ(c.at_least(t0), t0 + absl::Minutes(5)) << "two endpoints of one group are one vote";
}

TEST(ChainClock, GoesOnWithOursAndIsForgottenInSilence) {
  ChainClock c{{{"a", "x"}, {"b", "y"}}};
  c.heard("a", t0 + absl::Minutes(5), t0);
  c.heard("b", t0 + absl::Minutes(5), t0);
  EXPECT_EQ(c.at_least(t0 + absl::Seconds(60)), t0 + absl::Minutes(6));
  EXPECT_EQ(c.at_least(t0 + absl::Seconds(61)), absl::InfinitePast());
}

TEST(ChainClock, OneGroupIsNotBelieved) {
  ChainClock c{{{"a", "x"}, {"b", "x"}, {"c", "y", false}}};
  for (const char* e : {"a", "b", "c"}) c.heard(e, t0 + absl::Minutes(5), t0);
  EXPECT_EQ(c.at_least(t0), absl::InfinitePast());
}

}  // namespace
}  // namespace towline::fetcher
