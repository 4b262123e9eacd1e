#include "services/sync-coordinator/actors/decision_file.hpp"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <tuple>

#include "libs/base/files.hpp"
#include "libs/base/steady_time.hpp"

namespace towline::coordinator {
namespace {

Decision decision(Action action, const char* reason) {
  Decision d;
  d.action = action;
  d.reason = reason;
  return d;
}

class DecisionFile : public ::testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }
  const std::string path_ = std::filesystem::temp_directory_path() / absl::StrCat("towline-decisions-", getpid());
};

TEST_F(DecisionFile, WhatWasDecidedIsThereAfterARestart) {
  EXPECT_TRUE(load_decisions(path_)->empty()) << "no file yet";
  std::deque<Decision> told;
  for (std::uint64_t i = 0; i < 1024; ++i) {
    told.push_back({.sequence = 7 + i,
                    .time = steady_now() - absl::Hours(3) + absl::Seconds(i),
                    .action = Action::import,
                    .reason = absl::StrCat("blocks to ", i),
                    .state = static_cast<TowState>(i % (static_cast<int>(TowState::el_syncing) + 1)),
                    .repeated = i,
                    .fold = "import"});
  }
  ASSERT_TRUE(write_state_file(path_, encode_decisions(told)).ok());
  const auto kept = load_decisions(path_);
  ASSERT_TRUE(kept.ok()) << kept.status();
  ASSERT_EQ(kept->size(), told.size());
  for (std::size_t i = 0; i < told.size(); ++i) {
    const Decision &a = told[i], &b = (*kept)[i];
    EXPECT_EQ(std::tie(a.sequence, a.action, a.reason, a.state, a.repeated, a.fold),
              std::tie(b.sequence, b.action, b.reason, b.state, b.repeated, b.fold));
    // The wall clock is read twice, and it may be set in between.
    EXPECT_LT(absl::AbsDuration(a.time - b.time), absl::Minutes(10));
  }
}

TEST_F(DecisionFile, TextsOfOthersAreKeptWhateverTheyAre) {
  ASSERT_TRUE(write_state_file(path_, encode_decisions({decision(Action::invalid_block, "\xff\xfe \" \n")})).ok());
  const auto kept = load_decisions(path_);
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ(kept->front().reason, "\xef\xbf\xbd\xef\xbf\xbd \" \n");
}

TEST_F(DecisionFile, DamageIsNamedAndNeverACrash) {
  const std::string whole = encode_decisions({decision(Action::import, "blocks to 9")});
  for (std::size_t n = 0; n < whole.size() - 2; ++n) {
    ASSERT_TRUE(write_state_file(path_, whole.substr(0, n)).ok());
    EXPECT_TRUE(absl::IsDataLoss(load_decisions(path_).status())) << n;
  }
  for (const char* odd : {"{}", "7", "[7]", "[[]]"}) {
    ASSERT_TRUE(write_state_file(path_, odd).ok());
    EXPECT_TRUE(absl::IsDataLoss(load_decisions(path_).status())) << odd;
  }
  ASSERT_TRUE(write_state_file(path_, R"([{"sequence":-1,"time_ms":1e99,"action":null,"state":"LATER"}])").ok());
  EXPECT_EQ(load_decisions(path_)->front().state, TowState::starting);
}

}  // namespace
}  // namespace towline::coordinator
