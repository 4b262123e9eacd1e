#include "services/sync-coordinator/core/stuck.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/sync-coordinator/testing/views_fixture.hpp"

namespace towline::coordinator {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// The sources are on a branch that leaves ours after block 85.
class StuckTest : public ::testing::Test, protected ViewsFixture {
 protected:
  StuckTest() {
    engine.can_rewind = true;
    heads.groups = 3;
    heads.agree = 2;
    heads.safe = block(90, 1);
    both();
  }
  Stuck::Answer refused(bool switches = true) {
    return v.stuck.on_refused(block(switches ? 85 : 100).id(), switches, "SYNCING", v.local, v.remote, now);
  }
};

TEST_F(StuckTest, WhatIsAgainstARewind) {
  const auto against = [this] {
    both();
    return against_rewind(v.local, v.remote, block(85).id());
  };
  EXPECT_THAT(against(), IsEmpty());
  heads.agree = 1;
  EXPECT_THAT(against(), HasSubstr("1 of 3 trust groups"));
  heads.agree = 2;
  heads.safe = block(85, 1);
  EXPECT_THAT(against(), HasSubstr("no block of that branch is safe"));
  heads.safe = block(90);
  EXPECT_THAT(against(), HasSubstr("no block of that branch is safe")) << "it is ours";
  heads.safe = block(90, 1);
  heads.safe_hold = contract::Hold::sources_disagree;
  EXPECT_THAT(against(), HasSubstr("no block of that branch is safe"));
  heads.safe_hold = contract::Hold::none;
  heads.groups = heads.agree = 1;
  EXPECT_THAT(against(), HasSubstr("one trust group"));
  engine.rewind_for_single_source = true;
  EXPECT_THAT(against(), IsEmpty());
  engine.can_rewind = false;
  EXPECT_THAT(against(), HasSubstr("--engine.admin-rpc"));
  engine.can_rewind = true;
  local();
  v.remote.on_lost({"no_heads", "gone"});
  EXPECT_THAT(against_rewind(v.local, v.remote, block(85).id()), HasSubstr("no source is heard"));
}

TEST_F(StuckTest, ABranchIsRewoundForWhenMostHaveHadItForAMinute) {
  EXPECT_EQ(refused().status.code, ReasonCode::engine_missing_state);
  now += absl::Seconds(59);
  EXPECT_EQ(refused().status.state, TowState::waiting_for_engine);
  now += absl::Seconds(1);
  EXPECT_TRUE(refused().rewind.has_value());
}

TEST_F(StuckTest, TheMinuteBeginsAnewWhenTheSourcesAreInDoubt) {
  refused();
  now += absl::Seconds(59);
  const auto seen = [&](std::size_t agree) {
    heads.agree = agree;
    remote();
    v.stuck.on_sources(v.local, v.remote, now);
  };
  seen(1);
  now += absl::Seconds(5);
  seen(1);
  seen(2);
  now += absl::Seconds(2);
  EXPECT_FALSE(refused().rewind) << "for 0 s by now";
  now += absl::Seconds(30);
  seen(1);
  now += absl::Seconds(4);
  seen(2);
  now += absl::Seconds(4);
  seen(1);
  seen(2);
  EXPECT_FALSE(refused().rewind) << "for 38 s, but for a look or two";
  now += absl::Seconds(30);
  EXPECT_TRUE(refused().rewind.has_value());
}

TEST_F(StuckTest, WithoutARewindAnOperatorIsAskedForAfterHalfAMinute) {
  engine.can_rewind = false;
  local();
  EXPECT_EQ(refused().status.state, TowState::waiting_for_engine);
  now += absl::Seconds(30);
  const Stuck::Answer a = refused();
  EXPECT_EQ(a.status.code, ReasonCode::branch_too_deep);
  EXPECT_THAT(a.status.reason, HasSubstr("debug_setHead(\"0x55\")"));
  EXPECT_EQ(refused(false).status.state, TowState::waiting_for_engine) << "another block has its own time";
  now += absl::Seconds(30);
  EXPECT_EQ(refused(false).status.code, ReasonCode::engine_missing_state);
}

TEST_F(StuckTest, AnElThatDoesNotMoveFromItsOwnHeadIsRewoundToItTheSecondTime) {
  EXPECT_FALSE(refused(false).rewind);
  EXPECT_THAT(refused(false).rewind.value_or(""), HasSubstr("does not move from its head"));
}

TEST_F(StuckTest, WhatIsForgotten) {
  v.stuck.on_invalid(block(105).hash, block(104).id());
  v.stuck.on_diverged(block(80, 1).id());
  v.stuck.stay_at(block(100).id(), now);
  EXPECT_TRUE(v.stuck.is_invalid(block(105).hash));
  EXPECT_TRUE(v.stuck.at_a_block());
  v.stuck.on_followed();
  EXPECT_FALSE(v.stuck.at_a_block());
  EXPECT_FALSE(v.stuck.diverged_remote());
  EXPECT_TRUE(v.stuck.is_invalid(block(105).hash)) << "until it is asked for again, or an import succeeds";
  v.stuck.forgive();
  EXPECT_FALSE(v.stuck.is_invalid(block(105).hash));
}

}  // namespace
}  // namespace towline::coordinator
