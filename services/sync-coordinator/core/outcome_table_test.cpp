#include "services/sync-coordinator/core/outcome_table.hpp"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace towline::coordinator {
namespace {

using contract::Outcome;
using contract::Refusal;

struct Row {
  Ending ending;
  Reaction remote, gossip, rewind, forkchoice, el_sync;
};
const std::vector<Row>& rows() {
  using enum Reaction;
  static const std::vector<Row> kRows = {
      {Outcome::done, go_on, go_on, go_on, go_on, go_on},
      {Outcome::missing_state, from_new_head, from_new_head, rewind_by_hand, retry, el_syncs},
      {Outcome::invalid, other_branch, drop_block, rewind_by_hand, retry, retry},
      {Outcome::not_applied, stuck, stuck, rewind_by_hand, retry, retry},
      {Outcome::contradicts_finalized, contradicted, diverged, rewind_by_hand, retry, retry},
      {Outcome::engine_unavailable, wait_for_engine, wait_for_engine, rewind_by_hand, retry, wait_for_engine},
      {Outcome::source_unavailable, other_source, wait_for_gossip, rewind_by_hand, retry, other_source},
      {Outcome::source_reorged, other_way, forget_blocks, rewind_by_hand, retry, retry},
      {Outcome::unsupported, upgrade, upgrade, rewind_by_hand, retry, upgrade},
      {Outcome::cancelled, retry, retry, rewind_by_hand, retry, retry},
      {Outcome::refused, retry, retry, retry, retry, retry},
      {Refusal::stale_term, give_way, give_way, give_way, give_way, give_way},
      {Refusal::other_authority, give_way, give_way, give_way, give_way, give_way},
      {Refusal::impossible_term, retry, retry, retry, retry, retry},
      {Refusal::head_moved, retry, retry, retry, retry, retry},
      {Refusal::not_canonical, search, search, search, search, search},
      {Refusal::label_order, retry, retry, retry, retry, retry},
      {Refusal::below_finalized, retry, retry, retry, retry, retry},
      {Refusal::cannot_rewind, retry, retry, retry, retry, retry},
      {Refusal::not_final, retry, retry, retry, retry, retry},
  };
  return kRows;
}

TEST(OutcomeTable, EachEndingHasItsReaction) {
  for (const Row& r : rows()) {
    EXPECT_EQ(react(r.ending, Origin::remote), r.remote) << name(r.ending);
    EXPECT_EQ(react(r.ending, Origin::gossip), r.gossip) << name(r.ending);
    EXPECT_EQ(react(r.ending, Origin::rewind), r.rewind) << name(r.ending);
    EXPECT_EQ(react(r.ending, Origin::forkchoice), r.forkchoice) << name(r.ending);
    EXPECT_EQ(react(r.ending, Origin::el_sync), r.el_sync) << name(r.ending);
  }
  ASSERT_EQ(endings().size(), rows().size());
  for (std::size_t i = 0; i < rows().size(); ++i) EXPECT_EQ(endings()[i], rows()[i].ending);
}

TEST(OutcomeTable, EveryOutcomeAndEveryRefusalIsInIt) {
  const auto all = endings();
  const auto has = [&](const Ending& e) { return std::find(all.begin(), all.end(), e) != all.end(); };
  for (int o = 0; o <= static_cast<int>(Outcome::refused); ++o) EXPECT_TRUE(has(static_cast<Outcome>(o))) << o;
  for (const Refusal r : contract::kRefusals) EXPECT_TRUE(has(r)) << contract::name(r);
}

TEST(OutcomeTable, ARefusalIsTheEndingWhereItIsNamed) {
  contract::CommandResult r;
  r.outcome = Outcome::refused;
  EXPECT_EQ(ending_of(r), Ending{Outcome::refused});
  r.refusal = Refusal::head_moved;
  EXPECT_EQ(ending_of(r), Ending{Refusal::head_moved});
  r.outcome = Outcome::done;
  EXPECT_EQ(ending_of(r), Ending{Outcome::done});
}

TEST(OutcomeTable, WhatIsTold) {
  EXPECT_EQ(noted(Outcome::done, Origin::remote), std::nullopt);
  EXPECT_EQ(noted(Refusal::stale_term, Origin::remote), std::nullopt);
  EXPECT_EQ(noted(Refusal::head_moved, Origin::rewind), Action::refused);
  EXPECT_EQ(noted(Outcome::invalid, Origin::gossip), Action::invalid_block);
  EXPECT_EQ(noted(Outcome::invalid, Origin::rewind), Action::rewind_failed);
  EXPECT_EQ(noted(Outcome::not_applied, Origin::forkchoice), Action::forkchoice_failed);
  EXPECT_EQ(noted(Outcome::missing_state, Origin::el_sync), std::nullopt) << "that is how it begins";
  EXPECT_EQ(noted(Outcome::source_unavailable, Origin::el_sync), Action::source_unavailable);
}

TEST(OutcomeTable, TheDocumentHasTheSameTable) {
  std::ifstream in{std::string{TOWLINE_SOURCE_DIR} + "/docs/outcome-reactions.md"};
  std::stringstream text;
  text << in.rdbuf();
  for (const Ending& e : endings()) {
    std::string line = absl::StrCat("| `", name(e), "` |");
    for (const Origin o : kOrigins) absl::StrAppend(&line, " `", name(react(e, o)), "` |");
    EXPECT_NE(text.str().find(line), std::string::npos)
        << "docs/outcome-reactions.md has no line starting with: " << line;
  }
  for (int r = 0; r <= static_cast<int>(Reaction::rewind_by_hand); ++r) {
    const std::string line = absl::StrCat("\n| `", name(static_cast<Reaction>(r)), "` | ");
    EXPECT_NE(text.str().find(line), std::string::npos) << "docs/outcome-reactions.md does not explain:" << line;
  }
}

}  // namespace
}  // namespace towline::coordinator
