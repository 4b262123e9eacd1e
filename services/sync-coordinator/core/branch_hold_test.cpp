#include "services/sync-coordinator/core/branch_hold.hpp"

#include <gtest/gtest.h>

#include "services/sync-coordinator/core/authority.hpp"

namespace towline::coordinator {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

Hash32 hash(std::uint8_t n) {
  Hash32 h;
  h.bytes[0] = n;
  return h;
}

TEST(BranchHold, BeginsWhenTheHeadIsOnTheOtherBranch) {
  BranchHold hold;
  hold.on_import(true, hash(1));
  hold.on_head(hash(1), kNow);
  EXPECT_FALSE(hold.holds(kNow)) << "not yet";
  hold.on_head(hash(2), kNow);
  EXPECT_TRUE(hold.holds(kNow + absl::Seconds(9)));
  EXPECT_FALSE(hold.holds(kNow + absl::Seconds(10)));
  hold.on_head(hash(3), kNow + absl::Seconds(5));
  EXPECT_EQ(hold.until(), kNow + absl::Seconds(10)) << "the branch grows";
}

TEST(BranchHold, WhatGoesOnTheSameBranchOrIsDerivedHoldsNothing) {
  BranchHold hold;
  hold.on_import(false, hash(1));
  hold.on_head(hash(2), kNow);
  EXPECT_FALSE(hold.holds(kNow));
}

TEST(BranchHold, IsTwiceAsLongWhileSwitchesGoOn) {
  BranchHold hold;
  absl::Time now = kNow;
  std::uint8_t head = 1;
  for (const int seconds : {10, 20, 40, 80, 120, 120}) {
    hold.on_import(true, hash(head));
    hold.on_head(hash(++head), now);
    EXPECT_EQ(hold.until(), now + absl::Seconds(seconds));
    now = hold.until();
  }
  now += absl::Minutes(2);
  hold.on_import(true, hash(head));
  hold.on_head(hash(++head), now);
  EXPECT_EQ(hold.until(), now + absl::Seconds(10)) << "it was quiet for as long as the last hold";
}

contract::EngineState engine(std::uint64_t term, contract::EngineStatus status = contract::EngineStatus::ready,
                             const char* authority = "") {
  contract::EngineState s;
  s.status = status;
  s.authority = authority;
  s.term = term;
  return s;
}

TEST(Authority, TheTable) {
  const struct {
    const char* what;
    contract::EngineState state;
    bool superseded;
    std::uint64_t term;
  } rows[] = {
      {"a new driver", engine(0), false, 1},
      {"one that was commanded before", engine(7), false, 8},
      {"one that is starting", engine(7, contract::EngineStatus::starting), false, 0},
      {"of another elector", engine(7, contract::EngineStatus::ready, "etcd"), true, 8},
  };
  for (const auto& r : rows) {
    Authority a;
    EXPECT_FALSE(a.on_state(r.state)) << r.what;
    EXPECT_EQ(a.superseded(), r.superseded) << r.what;
    EXPECT_EQ(a.term(), r.term) << r.what;
  }
}

TEST(Authority, GivesWayAndTakesOverWhenTheOtherIsGone) {
  Authority a;
  contract::EngineState s = engine(7);
  a.on_state(s);
  s.term = 9;
  s.watchers = 2;
  EXPECT_FALSE(a.on_state(s));
  EXPECT_TRUE(a.superseded());
  s.watchers = 1;
  s.idle = absl::Seconds(29);
  EXPECT_FALSE(a.on_state(s));
  s.idle = absl::Seconds(30);
  EXPECT_TRUE(a.on_state(s));
  EXPECT_FALSE(a.superseded());
  EXPECT_EQ(a.term(), 10U);
  a.on_refused();
  EXPECT_TRUE(a.superseded());
  s.term = 0;
  a.on_state(s);
  EXPECT_EQ(a.term(), 10U) << "no leap: 1,000 are allowed";
}

}  // namespace
}  // namespace towline::coordinator
