#include "services/engine-driver/core/min_age.hpp"

#include <gtest/gtest.h>

namespace towline::driver {
namespace {

/// Blocks of 2 s from second 1000; the genesis is block 50.
rollup::Config chain() {
  rollup::Config c;
  c.l2_genesis.number = 50;
  c.l2_time = 1000;
  c.block_time = 2;
  return c;
}
absl::Time at(std::int64_t s) { return absl::FromUnixSeconds(s); }
eth::BlockId block(std::uint64_t n) { return {n, {}}; }

TEST(MinAge, AgesAreThoseOfTheL1) {
  for (const std::uint64_t l1 : {1U, 11155111U, 560048U}) {
    EXPECT_EQ(MinAge::of_l1(l1).finalized, absl::Minutes(10));
    EXPECT_EQ(MinAge::of_l1(l1).safe, absl::Seconds(12));
  }
  EXPECT_EQ(MinAge::of_l1(900).finalized, absl::ZeroDuration());
}

TEST(MinAge, HoldsWhatIsTooYoungToTheSecond) {
  // Block 150 has the timestamp 1200.
  for (const auto& [now, safe_stays, finalized_stays] :
       {std::tuple{1211, false, false}, {1212, true, false}, {1799, true, false}, {1800, true, true}}) {
    std::optional<eth::BlockId> safe = block(150), finalized = block(150);
    MinAge m{chain(), MinAge::of_l1(1)};
    EXPECT_EQ(m.hold({}, safe, finalized, at(now)), !safe_stays || !finalized_stays) << now;
    EXPECT_EQ(safe.has_value(), safe_stays) << now;
    EXPECT_EQ(finalized.has_value(), finalized_stays) << now;
  }
  std::optional<eth::BlockId> none, future = block(100'000);
  MinAge m{chain(), MinAge::of_l1(1)};
  EXPECT_TRUE(m.hold({}, none, future, at(1200)));
  EXPECT_FALSE(future) << "a block of the future is the youngest";
}

TEST(MinAge, WhatIsNamedTooEarlyComesWhenItIsOldEnough) {
  MinAge m{chain(), {absl::ZeroDuration(), absl::Seconds(100)}};
  std::uint64_t last = 0;
  // For an hour, a source calls each new block finalized (one per 2 s); the list of waiting labels stays bounded.
  for (std::int64_t now = 1000; now < 4600; now += 2) {
    const std::uint64_t newest = 50 + static_cast<std::uint64_t>(now - 1000) / 2;
    std::optional<eth::BlockId> safe, finalized = block(newest);
    EXPECT_TRUE(m.hold({}, safe, finalized, at(now)));
    if (now < 1100) {
      EXPECT_FALSE(finalized) << now;
    } else {
      ASSERT_TRUE(finalized) << now;
      EXPECT_EQ(finalized->number, newest - 50) << now;
      EXPECT_GE(finalized->number, last);
      last = finalized->number;
    }
  }
  m.forget();
  std::optional<eth::BlockId> safe, finalized = block(2000);
  EXPECT_TRUE(m.hold({}, safe, finalized, at(4600)));
  EXPECT_FALSE(finalized) << "nothing waits any more";
}

TEST(MinAge, WhatWaitedTakesNoLabelBack) {
  MinAge m{chain(), {absl::ZeroDuration(), absl::Seconds(100)}};
  std::optional<eth::BlockId> safe, finalized = block(150);
  EXPECT_TRUE(m.hold({}, safe, finalized, at(1250)));
  contract::Labels el;
  el.finalized = eth::BlockRef{160, {}, {}, 0};
  finalized = block(300);
  EXPECT_TRUE(m.hold(el, safe, finalized, at(1400)));
  EXPECT_FALSE(finalized) << "block 150 has waited for long enough, but 160 is final";
}

TEST(MinAge, WithoutAgesNothingIsTooYoung) {
  for (MinAge m : {MinAge{}, MinAge{chain(), {}}}) {
    std::optional<eth::BlockId> safe = block(100'000), finalized = block(100'000);
    EXPECT_FALSE(m.hold({}, safe, finalized, at(0)));
    EXPECT_TRUE(safe && finalized);
    EXPECT_TRUE(m.may_confirm(block(50), at(1'000'000)));
  }
}

TEST(MinAge, NothingIsConfirmedForGoodFarBehindTheTip) {
  const MinAge m{chain(), MinAge::of_l1(1)};
  EXPECT_TRUE(m.may_confirm(block(150), at(1260)));
  EXPECT_FALSE(m.may_confirm(block(150), at(1261)));
}

}  // namespace
}  // namespace towline::driver
