#include "services/sync-coordinator/core/decision_log.hpp"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace towline::coordinator {
namespace {

using ::testing::ElementsAre;

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

std::vector<std::string> show(const DecisionLog& log) {
  std::vector<std::string> out;
  for (const Decision& d : log.decisions())
    out.push_back(absl::StrCat(d.sequence, " ", text(d.action), ": ", d.reason, " x", d.repeated + 1));
  return out;
}

TEST(DecisionLog, TheSameDecisionCountsUp) {
  DecisionLog log;
  log.add({Action::hold, "the source replays", {}}, TowState::at_tip, kNow);
  log.add({Action::hold, "the source replays", {}}, TowState::importing, kNow + absl::Seconds(1));
  log.add({Action::hold, "for another reason", {}}, TowState::at_tip, kNow);
  EXPECT_THAT(show(log), ElementsAre("1 hold: the source replays x2", "2 hold: for another reason x1"));
  EXPECT_EQ(log.decisions().front().state, TowState::at_tip) << "as it was the first time";
  EXPECT_EQ(log.decisions().front().time, kNow + absl::Seconds(1)) << "the last time";
  EXPECT_EQ(log.decided(), 3U);
}

TEST(DecisionLog, WhatComesWithEveryBlockIsOneEntryWithTheLastReason) {
  DecisionLog log;
  for (const char* n : {"101", "102", "103"}) log.add({Action::import, n, "import of the source"}, {}, kNow);
  EXPECT_THAT(show(log), ElementsAre("1 import: 103 x3"));
}

TEST(DecisionLog, EightThatAlternateAreFoldedAndNineAreNot) {
  for (const auto& [kinds, entries] : {std::pair{8, 8U}, {9, 90U}}) {
    DecisionLog log;
    for (int round = 0; round < 10; ++round)
      for (int k = 0; k < kinds; ++k) log.add({Action::import, absl::StrCat(k), {}}, {}, kNow);
    EXPECT_EQ(log.decisions().size(), entries);
  }
}

TEST(DecisionLog, IsBoundedAndGoesOnWhereAnEarlierProcessEnded) {
  DecisionLog log;
  for (int i = 0; i < 1100; ++i) log.add({Action::pause, absl::StrCat(i), {}}, {}, kNow);
  EXPECT_EQ(log.decisions().size(), DecisionLog::kMaxDecisions);
  DecisionLog next;
  next.restore(log.decisions());
  next.add({Action::resume, "resumed", {}}, {}, kNow);
  EXPECT_EQ(next.decisions().back().sequence, 1101U);
  EXPECT_EQ(next.decisions().size(), DecisionLog::kMaxDecisions);
  EXPECT_EQ(next.decided(), 1U);
}

TEST(DecisionLog, EachActionHasATextAndItsTextTheAction) {
  for (const ActionText& a : kActions) {
    EXPECT_EQ(text(a.action), a.text);
    EXPECT_EQ(action_of(a.text), a.action);
  }
  EXPECT_EQ(action_of("of a later version"), Action::unknown);
  EXPECT_EQ(text(Action::unknown), "unknown");
}

TEST(Code, OfASourceIsOursWhereItHasTheSameName) {
  EXPECT_EQ(Code::of_source("no_heads"), Code{ReasonCode::no_heads});
  EXPECT_EQ(Code::of_source("source_pruned").text(), "source_pruned");
  EXPECT_FALSE(Code::of_source("source_pruned") == Code::of_source("source_syncing"));
  EXPECT_EQ(Code{ReasonCode::at_tip}.text(), "at_tip");
}

}  // namespace
}  // namespace towline::coordinator
