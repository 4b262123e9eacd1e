#include "services/sync-coordinator/core/local_chain.hpp"

#include <gtest/gtest.h>

#include "services/sync-coordinator/testing/views_fixture.hpp"

namespace towline::coordinator {
namespace {

class LocalChainTest : public ::testing::Test, protected ViewsFixture {
 protected:
  LocalChain& chain() { return v.local; }
  void head(const eth::BlockRef& b) {
    engine.labels.unsafe = b;
    local();
  }
};

TEST_F(LocalChainTest, LabelsAreKnownAndWhatLiesBetweenIsNot) {
  EXPECT_EQ(chain().has(block(100)), std::nullopt) << "no driver was heard of";
  local();
  for (const std::uint64_t n : {100U, 90U, 80U}) {
    EXPECT_EQ(chain().has(block(n)), true) << n;
    EXPECT_EQ(chain().has(block(n, 1)), false) << n;
  }
  EXPECT_EQ(chain().has(block(95)), std::nullopt);
  EXPECT_EQ(chain().has(std::nullopt), std::nullopt);
}

TEST_F(LocalChainTest, HeadsThatFollowEachOtherAreAChain) {
  local();
  for (std::uint64_t n = 101; n <= 110; ++n) head(block(n));
  EXPECT_EQ(chain().has(block(105)), true);
  head(block(107));
  EXPECT_EQ(chain().ours_at(108), std::nullopt) << "above the head";
  EXPECT_EQ(chain().has(block(105)), true);
  head(block(108, 1, 0));
  EXPECT_EQ(chain().has(block(107)), true) << "its parent";
  EXPECT_EQ(chain().has(block(108)), false);
}

TEST_F(LocalChainTest, AHeadThatLeadsNowhereMakesAllUnknown) {
  local();
  head(block(101));
  head(block(120, 1));
  EXPECT_EQ(chain().ours_at(101), std::nullopt);
  EXPECT_EQ(chain().has(block(120, 1)), true);
}

TEST_F(LocalChainTest, GossipedBlocksLeadDownFromANewHead) {
  local();
  for (std::uint64_t n = 101; n <= 105; ++n) gossip(block(n));
  head(block(105));
  EXPECT_EQ(chain().has(block(101)), true);
  EXPECT_EQ(chain().has(block(100)), true);
}

TEST_F(LocalChainTest, WhatWasAskedForIsKnownUntilTheBranchChanges) {
  local();
  chain().on_compared(block(85));
  EXPECT_EQ(chain().has(block(85)), true);
  chain().forget_compared();
  EXPECT_EQ(chain().has(block(85)), std::nullopt);
  EXPECT_TRUE(chain().on_asked({block(85)}));
  chain().forget_compared();
  EXPECT_EQ(chain().has(block(85)), true);
  EXPECT_FALSE(chain().on_asked({})) << "nothing is learnt";
}

TEST_F(LocalChainTest, AnotherSessionOfTheElIsANewStart) {
  EXPECT_FALSE(chain().on_state(engine, v.gossip.blocks()));
  chain().on_compared(block(85));
  engine.engine_session = 2;
  EXPECT_TRUE(chain().on_state(engine, v.gossip.blocks()));
  EXPECT_EQ(chain().has(block(85)), std::nullopt);
  EXPECT_TRUE(chain().restarted());
  chain().on_labels_checked();
  EXPECT_FALSE(chain().restarted());
  chain().on_lost("gone");
  EXPECT_EQ(chain().lost(), "gone");
  EXPECT_FALSE(chain().has_head());
}

TEST_F(LocalChainTest, TheHighestFinalBlockIsTheConfirmedFinalized) {
  engine.labels.finalized.reset();
  local();
  EXPECT_EQ(chain().confirmed_finalized(), block(0).id()) << "genesis";
  engine.labels.finalized = block(80);
  local();
  EXPECT_EQ(chain().confirmed_finalized(), block(80).id());
  engine.confirmed_finalized = block(70).id();
  local();
  EXPECT_EQ(chain().confirmed_finalized(), block(80).id());
  engine.confirmed_finalized = block(85).id();
  local();
  EXPECT_EQ(chain().confirmed_finalized(), block(85).id());
  EXPECT_EQ(chain().search_floor(), block(85).id());
  head(block(60));
  EXPECT_EQ(chain().search_floor(), block(0).id()) << "it came back below what is final";
}

}  // namespace
}  // namespace towline::coordinator
