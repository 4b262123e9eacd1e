#include "services/sync-coordinator/core/label_choice.hpp"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "services/sync-coordinator/testing/views_fixture.hpp"

namespace towline::coordinator {
namespace {

using Number = std::optional<std::uint64_t>;

std::optional<eth::BlockRef> at(const Number& n) { return n ? std::optional{block(*n)} : std::nullopt; }
std::string show(const std::optional<eth::BlockId>& b) { return b ? absl::StrCat(b->number) : "-"; }

TEST(LabelChoice, TheTable) {
  struct Row {
    const char* what;
    Number have_safe, have_finalized, safe, finalized;
    std::uint64_t parent, tip;
    const char* wanted;
    std::optional<std::uint64_t> confirmed_finalized = {};
    contract::Hold hold = contract::Hold::none;
  };
  const Row rows[] = {
      {"both as they are", 90, 80, 90, 80, 100, 100, "- -"},
      {"both rise", 90, 80, 95, 85, 100, 100, "95 85"},
      {"neither goes back", 90, 80, 85, 75, 100, 100, "- -"},
      {"above the tip there is nothing to label", 90, 80, 105, 101, 100, 100, "- -"},
      {"an import reaches them", 90, 80, 105, 101, 100, 110, "105 101"},
      {"none are set", {}, {}, 90, 80, 100, 100, "90 80"},
      {"the source has none", 90, 80, {}, {}, 100, 100, "- -"},
      {"finalized lifts a safe that lags", 80, 70, {}, 85, 100, 100, "85 85"},
      {"and not one that is above it", 90, 70, {}, 85, 100, 100, "- 85"},
      {"another branch is given its safe block again", 90, 80, 88, 80, 85, 110, "88 -"},
      {"nothing below the confirmed finalized block", {}, {}, 90, 80, 100, 100, "90 -", 85},
      {"nothing below the confirmed finalized block, safe neither", {}, {}, 90, 80, 100, 100, "- -", 95},
      {"safe of a lost quorum", 90, 80, 95, 80, 100, 100, "- -", {}, contract::Hold::quorum_lost},
      {"safe of sources that disagree is the vote's",
       90,
       80,
       95,
       80,
       100,
       100,
       "95 -",
       {},
       contract::Hold::sources_disagree},
  };
  for (const Row& r : rows) {
    ViewsFixture f;
    f.engine.labels = {block(100), at(r.have_safe), at(r.have_finalized)};
    if (r.confirmed_finalized) f.engine.confirmed_finalized = block(*r.confirmed_finalized).id();
    f.heads.safe = at(r.safe);
    f.heads.finalized = at(r.finalized);
    f.heads.safe_hold = r.hold;
    f.both();
    const auto out = with_labels({block(r.parent).id(), block(r.tip).id(), {}, {}}, f.v, f.now);
    EXPECT_EQ(absl::StrCat(show(out.safe), " ", show(out.finalized)), r.wanted) << r.what;
  }
}

TEST(LabelChoice, SafeOfALostQuorumCountsOnTheChainThatGossipNames) {
  ViewsFixture f;
  f.heads.safe = block(95);
  f.heads.safe_hold = contract::Hold::quorum_lost;
  f.both();
  f.gossip(block(101));
  f.engine.labels.unsafe = block(101);
  f.local();
  const contract::ImportRange r{block(101).id(), block(101).id(), {}, {}};
  EXPECT_EQ(with_labels(r, f.v, f.now).safe, block(95).id());
  EXPECT_EQ(with_labels(r, f.v, f.now + absl::Seconds(31)).safe, std::nullopt) << "its word is old";
}

TEST(LabelChoice, WithoutASourceLabelsStandStill) {
  ViewsFixture f;
  f.local();
  const contract::ImportRange r{block(100).id(), block(110).id(), {}, {}};
  EXPECT_EQ(with_labels(r, f.v, f.now), r);
}

TEST(LabelChoice, WhatIsSaidWhileTheHeadStays) {
  ViewsFixture f;
  f.heads.safe = block(85);
  f.heads.finalized = block(75);
  f.both();
  LabelChoice c = choose_labels(f.v, block(100), f.now);
  EXPECT_FALSE(c.wanted);
  ASSERT_EQ(c.before.size(), 2U);
  EXPECT_EQ(c.before[0].action, Action::hold_safe);
  EXPECT_EQ(c.before[1].action, Action::hold_finalized);
  EXPECT_EQ(c.status->code, ReasonCode::at_tip);
  EXPECT_FALSE(c.after);
  c = choose_labels(f.v, block(99), f.now);
  EXPECT_EQ(c.status->code, ReasonCode::ahead_of_source);
  EXPECT_EQ(c.after->action, Action::no_op);
  f.v.gossip.on_head(true);
  c = choose_labels(f.v, block(99), f.now);
  EXPECT_EQ(c.status->code, ReasonCode::at_tip);
  f.heads.safe = block(95);
  f.remote();
  c = choose_labels(f.v, block(99), f.now);
  EXPECT_EQ(c.wanted->safe, block(95).id());
  EXPECT_FALSE(c.status) << "of what is asked for the answer is told";
}

TEST(LabelChoice, LabelsOfAnElThatCameBackAreRestored) {
  const struct {
    const char* what;
    std::optional<std::uint64_t> confirmed_finalized;
    std::uint64_t head;
    Number safe, finalized;
    const char* wanted;
  } rows[] = {
      {"nothing was confirmed", {}, 100, 90, 80, "none"},   {"it has them", 80, 100, 90, 80, "none"},
      {"it lost finalized", 80, 100, 90, {}, "- 80"},       {"it lost both", 80, 100, {}, {}, "80 80"},
      {"its finalized is older", 80, 100, 70, 60, "80 80"}, {"it came back below", 80, 70, {}, {}, "none"},
  };
  for (const auto& r : rows) {
    ViewsFixture f;
    f.engine.labels = {block(r.head), at(r.safe), at(r.finalized)};
    if (r.confirmed_finalized) f.engine.confirmed_finalized = block(*r.confirmed_finalized).id();
    f.local();
    const auto out = labels_to_restore(f.v.local);
    EXPECT_EQ(out ? absl::StrCat(show(out->safe), " ", show(out->finalized)) : "none", r.wanted) << r.what;
  }
}

}  // namespace
}  // namespace towline::coordinator
