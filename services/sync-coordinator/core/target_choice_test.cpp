#include "services/sync-coordinator/core/target_choice.hpp"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <gtest/gtest.h>

#include <functional>

#include "services/sync-coordinator/testing/views_fixture.hpp"

namespace towline::coordinator {
namespace {

std::string show(const Hold& h) { return h.status ? absl::StrCat("hold ", h.status->code.text()) : "hold"; }
std::string show(const Diverged& d) { return absl::StrCat("diverged at ", d.ours.number); }
std::string show(const RestoreLabels& r) { return absl::StrCat("restore finalized ", r.forkchoice.finalized->number); }
std::string show(const ImportRemote& i) { return absl::StrCat("import to ", i.goal.number); }
std::string show(const ImportGossip& i) { return absl::StrCat("gossip ", i.parent.number, "..", i.tip.number); }
std::string show(const CompareBlock& c) { return absl::StrCat("compare ", c.block.number); }
std::string show(const AskOurs& a) { return absl::StrCat("ask ours ", absl::StrJoin(a.numbers, ",")); }
std::string show(const MoveLabels& m) { return absl::StrCat("labels at ", m.goal.number); }
std::string show(const Demote&) { return "demote"; }
std::string show(const GoalIsInvalid&) { return "invalid"; }

std::string chosen(const ViewsFixture& f) {
  const Choice c = choose_target(f.v, f.now);
  std::string out = std::visit([](const auto& t) { return show(t); }, c.target);
  for (const Note& n : c.notes) absl::StrAppend(&out, ", ", text(n.action));
  return out;
}

TEST(TargetChoice, TheTable) {
  const struct {
    const char* what;
    /// Changes to the fixture, which has labels at 100, 90 and 80 on both sides.
    std::function<void(ViewsFixture&)> change;
    const char* chosen;
  } rows[] = {
      {"both sides are equal", [](auto& f) { f.both(); }, "labels at 100"},
      {"the source is ahead",
       [](auto& f) {
         f.heads.unsafe = block(110);
         f.both();
       },
       "import to 110"},
      {"to a block that the EL calls INVALID",
       [](auto& f) {
         f.heads.unsafe = block(110);
         f.both();
         f.v.stuck.on_invalid(block(110).hash, block(105).id());
       },
       "invalid"},
      {"at the same height it has another block",
       [](auto& f) {
         f.heads.unsafe = block(100, 1);
         f.both();
       },
       "compare 100"},
      {"it is behind at a block that is not known to be ours",
       [](auto& f) {
         f.heads.unsafe = block(97);
         f.both();
       },
       "compare 97"},
      {"it is behind at a block of ours",
       [](auto& f) {
         f.heads.unsafe = block(97);
         f.both();
         f.v.local.on_compared(block(97));
       },
       "labels at 97"},
      {"it has another finalized block",
       [](auto& f) {
         f.heads.finalized = block(80, 1);
         f.both();
       },
       "diverged at 80"},
      {"it shows no head",
       [](auto& f) {
         f.heads.unsafe = f.heads.safe = f.heads.finalized = std::nullopt;
         f.both();
       },
       "hold no_target"},
      {"it restarts",
       [](auto& f) {
         f.heads.kind = contract::EndpointKind::cl;
         f.heads.current_l1 = eth::BlockRef{};
         f.both();
       },
       "hold source_replaying, hold"},
      {"most have another block than the one that leads us",
       [](auto& f) {
         f.heads.agreed = block(90, 1).id();
         f.both();
       },
       "demote"},
      {"what most have is not known to be ours",
       [](auto& f) {
         f.heads.agreed = block(95).id();
         f.both();
       },
       "compare 95"},
      {"the EL came back without its labels",
       [](auto& f) {
         f.both();
         f.engine.engine_session = 2;
         f.engine.confirmed_finalized = block(80).id();
         f.engine.labels.finalized.reset();
         f.local();
       },
       "restore finalized 80"},
      {"nobody is heard", [](auto& f) { f.local(); }, "hold no_heads"},
      {"nobody is heard, and the head is of the p2p network",
       [](auto& f) {
         f.local();
         f.v.gossip.on_head(true);
       },
       "hold gossip_only"},
      {"a gossiped block stands on our head, and the source is ahead",
       [](auto& f) {
         f.heads.unsafe = block(110);
         f.both();
         f.gossip(block(101));
       },
       "gossip 100..101"},
      {"while trouble with the source lasts",
       [](auto& f) {
         f.both();
         f.gossip(block(101));
         f.v.retry.source_failed(f.now);
       },
       "gossip 100..101"},
      {"while trouble with the engine lasts",
       [](auto& f) {
         f.both();
         f.gossip(block(101));
         f.v.retry.engine_failed(f.now);
       },
       "hold"},
      {"while p2p-gossip is away",
       [](auto& f) {
         f.both();
         f.gossip(block(101));
         f.v.retry.gossip.failed(f.now);
       },
       "labels at 100"},
      {"a gap below gossiped blocks is the source's to fill",
       [](auto& f) {
         f.heads.unsafe = block(110);
         f.both();
         f.gossip(block(105));
       },
       "import to 104"},
      {"a gossiped branch that safe has left",
       [](auto& f) {
         f.heads.safe = block(101, 1, 0);
         f.both();
         f.gossip(block(101));
       },
       "labels at 100"},
      {"a longer signed branch that nobody names",
       [](auto& f) {
         f.heads.unsafe = f.heads.safe;
         f.both();
         f.gossip(block(91, 1, 0));
         for (std::uint64_t n = 92; n <= 102; ++n) f.gossip(block(n, 1));
         f.v.local.on_asked({block(91)});
       },
       "gossip 90..102, reorg"},
      {"the same where branches were changed just now",
       [](auto& f) {
         f.heads.unsafe = f.heads.safe;
         f.both();
         f.gossip(block(91, 1, 0));
         for (std::uint64_t n = 92; n <= 102; ++n) f.gossip(block(n, 1));
         f.v.local.on_asked({block(91)});
         f.v.hold.on_import(true, block(99).hash);
         f.v.hold.on_head(block(100).hash, f.now);
       },
       "labels at 90, hold_branch"},
      {"where it leaves ours is not known",
       [](auto& f) {
         f.heads.unsafe = f.heads.safe;
         f.both();
         for (std::uint64_t n = 99; n <= 102; ++n) f.gossip(block(n, 1));
       },
       "ask ours 98,99"},
  };
  for (const auto& r : rows) {
    ViewsFixture f;
    r.change(f);
    EXPECT_EQ(chosen(f), r.chosen) << r.what;
  }
}

TEST(TargetChoice, WhoIsLeftToLeadIsFollowed) {
  ViewsFixture f;
  f.heads.agreed = block(90, 1).id();
  f.both();
  const Choice c = choose_target(f.v, f.now, false);
  EXPECT_TRUE(std::holds_alternative<MoveLabels>(c.target));
}

std::string branch(const ViewsFixture& f, std::uint64_t goal, const eth::BlockRef& ancestor) {
  const BranchChoice c = choose_branch(f.v, block(goal, 1), ancestor.id(), f.now);
  if (std::holds_alternative<Behind>(c)) return "behind";
  if (const auto* h = std::get_if<HoldBranch>(&c)) return h->until ? "hold until" : "hold";
  const auto depth = std::get<Switch>(c).depth;
  return depth ? absl::StrCat("switch ", *depth) : "go on";
}

TEST(BranchChoice, TheTable) {
  ViewsFixture f;
  f.both();
  EXPECT_EQ(branch(f, 110, block(100)), "go on");
  EXPECT_EQ(branch(f, 110, block(95)), "switch 5");
  EXPECT_EQ(branch(f, 95, block(95)), "behind");
  EXPECT_EQ(branch(f, 110, block(85)), "switch 15");
  f.heads.groups = 3;
  f.remote();
  EXPECT_EQ(branch(f, 110, block(85)), "hold") << "below safe, without a majority";
  EXPECT_EQ(branch(f, 110, block(95)), "switch 5");
  f.gossip(block(101));
  f.engine.labels.unsafe = block(101);
  f.local();
  EXPECT_EQ(branch(f, 110, block(95)), "hold") << "off what gossip names, without a majority";
  EXPECT_EQ(branch(f, 110, block(101)), "go on");
  f.heads.agree = 2;
  f.remote();
  EXPECT_EQ(branch(f, 110, block(95)), "switch 6");
  f.v.hold.on_import(true, block(100).hash);
  f.v.hold.on_head(block(101).hash, f.now);
  EXPECT_EQ(branch(f, 110, block(95)), "hold until");
  f.heads.safe = block(96, 1);
  f.remote();
  EXPECT_EQ(branch(f, 110, block(95)), "switch 6") << "derived from L1";
}

}  // namespace
}  // namespace towline::coordinator
