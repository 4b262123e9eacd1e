#include "services/sync-coordinator/core/ancestor_search.hpp"

#include <gtest/gtest.h>

#include "services/sync-coordinator/testing/views_fixture.hpp"

namespace towline::coordinator {
namespace {

using Result = AncestorSearch::Result;

class AncestorSearchTest : public ::testing::Test {
 protected:
  /// The source's chain leaves ours after `common`.
  Result answer(const AncestorSearch::Numbers& numbers, std::uint64_t common, std::uint64_t reach = 100) {
    AncestorSearch::Blocks ours, theirs;
    for (const std::uint64_t n : numbers) {
      ours.push_back(block(n));
      theirs.push_back(block(n, n > common ? 1 : 0));
    }
    return search.on_answers(theirs, ours, block(100).hash, reach);
  }
  AncestorSearch search{10};
};

TEST_F(AncestorSearchTest, OneHeightTellsMostly) {
  EXPECT_EQ(search.compare(block(95), block(100).hash), AncestorSearch::Numbers{95});
  EXPECT_EQ(answer({95}, 100), Result::same);
  search.compare(block(95, 1), block(100).hash);
  EXPECT_EQ(answer({95}, 90), Result::differs);
  EXPECT_EQ(answer({}, 90), Result::differs) << "an answer without the block";
  EXPECT_EQ(search.compared(), block(95, 1));
}

TEST_F(AncestorSearchTest, ASearchEndsAtTheHighestCommonBlock) {
  auto numbers = search.search(block(0).id(), 100, block(100).hash);
  Result r = answer(numbers, 37);
  for (int round = 0; r == Result::ask && round < 10; ++round) r = answer(search.numbers(), 37);
  EXPECT_EQ(r, Result::found);
  EXPECT_EQ(search.ancestor(), block(37).id());
  EXPECT_GT(search.rounds(), 1);
}

TEST_F(AncestorSearchTest, WhereTheLowestDiffersTheChainsDiverge) {
  const auto numbers = search.search(block(80).id(), 85, block(100).hash);
  EXPECT_EQ(answer(numbers, 79), Result::diverged);
  EXPECT_EQ(search.ancestor(), block(80).id());
  EXPECT_EQ(search.theirs(), block(80, 1).id());
}

TEST_F(AncestorSearchTest, AHeadThatMovedMakesTheAnswersVoid) {
  const auto head = block(99).hash;
  search.compare(block(95), head);
  EXPECT_EQ(answer({95}, 100), Result::outdated);
  search.ask_ours({95}, head);
  EXPECT_TRUE(search.of_ours());
  EXPECT_EQ(answer({95}, 100), Result::outdated);
  EXPECT_EQ(answer(search.search(block(80).id(), 99, head), 90), Result::outdated);
}

TEST_F(AncestorSearchTest, WhatIsAskedOfOurChainAloneNeedsNoSource) {
  search.ask_ours({95, 96}, block(100).hash);
  EXPECT_EQ(search.on_answers({}, {block(95)}, block(100).hash, 0), Result::ours);
}

TEST_F(AncestorSearchTest, ATargetThatGrewMeanwhileMayHaveMoreInCommon) {
  const auto numbers = search.search(block(80).id(), 85, block(100).hash);
  EXPECT_EQ(answer(numbers, 100, 90), Result::grown);
  EXPECT_EQ(answer(search.search(block(80).id(), 85, block(100).hash), 100, 85), Result::found);
}

TEST_F(AncestorSearchTest, AnswersThatHaveNothingInCommonAreNoEnd) {
  search.search(block(0).id(), 100, block(100).hash);
  Result r = Result::ask;
  for (int round = 0; r == Result::ask && round < 5; ++round) r = search.on_answers({}, {}, block(100).hash, 100);
  EXPECT_EQ(r, Result::stuck);
}

}  // namespace
}  // namespace towline::coordinator
