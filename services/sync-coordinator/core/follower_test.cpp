// One behaviour per test, with both sides simulated: the follower's requests are answered from two chains, or as the
// test says. Test names with D and a number are listed in docs/edge-cases.md.
#include "services/sync-coordinator/core/follower.hpp"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace towline::coordinator {
namespace {

using contract::CommandResult;
using contract::EngineStatus;
using contract::Outcome;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

/// Blocks 0 .. tip; a fork is another branch from some height upward.
class Chain {
 public:
  explicit Chain(std::uint64_t tip) { grow(tip, 0); }
  Chain fork(std::uint64_t after, std::uint8_t branch, std::uint64_t tip) const {
    Chain c = *this;
    c.blocks_.resize(after + 1);
    c.grow(tip, branch);
    return c;
  }
  void grow(std::uint64_t tip, std::uint8_t branch) {
    while (blocks_.size() <= tip) {
      eth::BlockRef b{blocks_.size(), {}, {}, 1000 + 2 * blocks_.size()};
      for (unsigned i = 0; i < 8; ++i) b.hash.bytes[i] = static_cast<std::uint8_t>(b.number >> (8U * i));
      b.hash.bytes[8] = branch;
      b.hash.bytes[31] = 1;
      if (!blocks_.empty()) b.parent_hash = blocks_.back().hash;
      blocks_.push_back(b);
    }
  }
  std::uint64_t tip() const { return blocks_.size() - 1; }
  std::optional<eth::BlockRef> at(std::uint64_t n) const {
    return n < blocks_.size() ? std::optional{blocks_[n]} : std::nullopt;
  }
  std::optional<eth::BlockRef> at(const std::optional<std::uint64_t>& n) const { return n ? at(*n) : std::nullopt; }
  bool has(const eth::BlockId& b) const { return b.number < blocks_.size() && blocks_[b.number].hash == b.hash; }

 private:
  std::vector<eth::BlockRef> blocks_;
};

std::string show(const std::optional<eth::BlockId>& b) { return b ? absl::StrCat(b->number) : "-"; }

class FollowerTest : public ::testing::Test {
 protected:
  /// Both sides at 100, safe 90, finalized 80.
  FollowerTest() { follower_.emplace(Follower::Options{.genesis = theirs.at(0)->id()}); }

  Chain ours{100}, theirs{100};
  Chain network{100};                                                    // what the sequencer gossips
  std::optional<std::uint64_t> safe = 90, finalized = 80;                // labels of the EL
  std::optional<std::uint64_t> remote_safe = 90, remote_finalized = 80;  // labels of the source
  bool remote_has_unsafe = true;
  std::size_t groups = 1, agree = 1;
  contract::Hold safe_hold = contract::Hold::none;
  contract::EngineState driver = [] {
    contract::EngineState s;
    s.status = EngineStatus::ready;
    s.engine_session = 1;
    return s;
  }();
  absl::Time now = absl::FromUnixSeconds(1'700'000'000);
  /// The commands: "import 100..110 safe 105 finalized 95", "labels safe - finalized 90", "rewind 85"; and "compare"
  /// once per round.
  std::vector<std::string> did;
  /// Replaces the EL that accepts everything.
  std::function<absl::StatusOr<CommandResult>(const Import&)> on_import;
  std::optional<contract::Refusal> refuse_labels;
  std::function<void()> on_compare;
  absl::Status remote_headers;

  Follower& follower() { return *follower_; }
  const contract::Labels labels() const { return {ours.at(ours.tip()), ours.at(safe), ours.at(finalized)}; }
  contract::HeadSnapshot snapshot() const {
    contract::HeadSnapshot s;
    s.endpoint = "a";
    if (remote_has_unsafe) s.unsafe = theirs.at(theirs.tip());
    s.safe = theirs.at(remote_safe);
    s.finalized = theirs.at(remote_finalized);
    s.groups = groups;
    s.agree = agree;
    s.safe_hold = safe_hold;
    s.observed = now;
    return s;
  }
  CommandResult ended(Outcome o, std::string reason = "as the test says") const {
    return {o, std::move(reason), {}, labels(), {}};
  }

  CommandResult refused(contract::Refusal r) const {
    CommandResult out = ended(Outcome::refused);
    out.refusal = r;
    return out;
  }

  void local() {
    driver.labels = labels();
    play(follower().on_local(driver, now));
  }
  void remote() { play(follower().on_remote(snapshot(), now)); }
  void both() {
    local();
    remote();
  }
  /// Blocks from the p2p network arrive, in this order.
  void gossip(std::initializer_list<std::uint64_t> numbers) {
    for (const std::uint64_t n : numbers) play(follower().on_gossip(*network.at(n), now));
  }
  /// An empty EL, far below the source.
  void with_an_el_that_executes_nothing() {
    ours = Chain{0};
    safe = finalized = std::nullopt;
    theirs.grow(1000, 0);
    remote_safe = 990;
    remote_finalized = 980;
    on_import = [this](const Import&) { return ended(Outcome::missing_state, "newPayload 1: SYNCING"); };
  }
  void with_gossip(bool remote_too) { restart({.unsafe_from_remote = remote_too, .unsafe_from_gossip = true}); }
  /// Advances the time to the next due event, by at most `limit`.
  bool wake(absl::Duration limit = absl::Hours(1)) {
    if (follower().next_wake() > now + limit) return false;
    now = std::max(now, follower().next_wake());
    play(follower().on_wake(now));
    return true;
  }
  void play(const std::optional<Effect>& effect) {
    if (effect) play(std::visit([this](const auto& x) { return answer(x); }, *effect));
  }
  std::vector<std::string> taken() { return std::exchange(did, {}); }
  std::vector<std::string> actions() const {
    std::vector<std::string> out;
    for (const auto& d : follower_->decisions()) out.emplace_back(text(d.action));
    return out;
  }

 private:
  std::optional<Effect> answer(const Compare& c) {
    if (did.empty() || did.back() != "compare") did.emplace_back("compare");
    if (on_compare) on_compare();
    std::vector<eth::BlockRef> mine;
    std::vector<eth::BlockRef> other;
    for (const std::uint64_t n : c.numbers) {
      if (const auto b = ours.at(n)) mine.push_back(*b);
      if (const auto b = theirs.at(n)) other.push_back(*b);
    }
    if (!remote_headers.ok()) return follower().on_compared(c.id, remote_headers, mine, now);
    return follower().on_compared(c.id, other, mine, now);
  }
  std::optional<Effect> answer(const Import& i) {
    did.push_back(absl::StrCat(i.range.from_gossip() ? "gossip " : "import ", i.range.parent.number, "..",
                               i.range.tip.number, " safe ", show(i.range.safe), " finalized ",
                               show(i.range.finalized)));
    EXPECT_TRUE(ours.has(i.range.parent)) << "a parent that the EL does not have: " << did.back();
    EXPECT_EQ(i.command.expected_head, ours.at(ours.tip())->hash);
    absl::StatusOr<CommandResult> r = on_import ? on_import(i) : import(i);
    return follower().on_command_done(i.id, r, now);
  }
  std::optional<Effect> answer(const SetForkchoice& f) {
    did.push_back(absl::StrCat("labels safe ", show(f.forkchoice.safe), " finalized ", show(f.forkchoice.finalized)));
    EXPECT_EQ(f.forkchoice.head.hash, ours.at(ours.tip())->hash) << "labels move the head";
    if (refuse_labels) return follower().on_command_done(f.id, refused(*refuse_labels), now);
    apply(f.forkchoice.safe, f.forkchoice.finalized);
    return follower().on_command_done(f.id, ended(Outcome::done, ""), now);
  }
  std::optional<Effect> answer(const Rewind& r) {
    did.push_back(absl::StrCat("rewind ", r.to.number));
    ours = ours.fork(r.to.number, 0, r.to.number);
    return follower().on_command_done(r.id, ended(Outcome::done, ""), now);
  }
  std::optional<Effect> answer(const StartElSync& s) {
    did.push_back(absl::StrCat("el sync ", s.start.target.number));
    const bool there = ours.has(s.start.target.id());
    return follower().on_command_done(s.id, ended(there ? Outcome::done : Outcome::missing_state, "SYNCING"), now);
  }

 protected:
  CommandResult import(const Import& i) {
    const Chain& from = i.range.from_gossip() ? network : theirs;
    if (!from.has(i.range.tip) || !from.has(i.range.parent))
      return ended(Outcome::source_reorged, "the tip does not descend from the parent");
    ours = from.fork(i.range.tip.number, 0, i.range.tip.number);
    apply(i.range.safe, i.range.finalized);
    return ended(Outcome::done, "");
  }
  void apply(const std::optional<eth::BlockId>& s, const std::optional<eth::BlockId>& f) {
    if (s) {
      EXPECT_TRUE(ours.has(*s)) << "safe off our chain";
      safe = s->number;
    }
    if (f) {
      EXPECT_TRUE(ours.has(*f)) << "finalized off our chain";
      EXPECT_GE(f->number, finalized.value_or(0)) << "finalized went back";
      finalized = f->number;
    }
    EXPECT_LE(finalized.value_or(0), safe.value_or(finalized.value_or(0)));
  }
  /// A new follower that has both views, and whose imports are all refused.
  void start_refused(contract::Refusal r) {
    restart({});
    did.clear();
    on_import = [this, r](const Import&) { return refused(r); };
    both();
  }
  void restart(Follower::Options options) {
    options.genesis = theirs.at(0)->id();
    follower_.emplace(options);
  }

 private:
  std::optional<Follower> follower_;
};

TEST_F(FollowerTest, ASourceThatIsSlowIsNoReasonToBeImportingForEver) {
  theirs.grow(200, 0);
  std::vector<TowState> seen;
  on_import = [&](const Import& i) {
    seen.push_back(follower().state());
    // The chain advances during the import.
    const CommandResult r = import(i);
    if (seen.size() < 4) {
      theirs.grow(theirs.tip() + 5, 0);
      play(follower().on_remote(snapshot(), now));
    }
    return r;
  };
  both();
  EXPECT_THAT(seen, ElementsAre(TowState::importing, TowState::at_tip, TowState::at_tip, TowState::at_tip));
  EXPECT_EQ(follower().state(), TowState::at_tip);
}

TEST_F(FollowerTest, WhyNoSourceServesBlocksIsSaidUntilBlocksCome) {
  theirs.grow(200, 0);
  on_import = [&](const Import&) { return ended(Outcome::source_unavailable, "no source has block 101"); };
  both();
  EXPECT_EQ(follower().reason_code().text(), "source_unavailable");
  contract::HeadSnapshot s = snapshot();
  s.blocks_trouble = contract::SourceTrouble{"source_pruned", "a: it has no blocks up to 150"};
  play(follower().on_remote(s, now));
  EXPECT_EQ(follower().state(), TowState::waiting_for_source);
  EXPECT_EQ(follower().reason_code().text(), "source_pruned");
  s.blocks_trouble->why = "a: it has no blocks below 160";
  play(follower().on_remote(s, now));
  EXPECT_EQ(follower().reason(), "a: it has no blocks below 160");
  // The import is retried, and the reason stays visible meanwhile.
  std::vector<std::string> codes;
  on_import = [&](const Import&) {
    codes.emplace_back(follower().reason_code().text());
    return ended(Outcome::source_unavailable, "no source has block 101");
  };
  ASSERT_TRUE(wake());
  EXPECT_THAT(codes, ElementsAre("source_pruned"));
  on_import = [&](const Import& i) {
    play(follower().on_remote(snapshot(), now));
    EXPECT_EQ(follower().state(), TowState::importing) << "blocks come";
    return import(i);
  };
  ASSERT_TRUE(wake());
  EXPECT_EQ(follower().state(), TowState::at_tip);
}

TEST_F(FollowerTest, AWaitThatIsOverIsDueOnce) {
  theirs.grow(110, 0);
  on_import = [&](const Import&) { return ended(Outcome::engine_unavailable); };
  both();
  play(follower().on_remote_lost({"no_heads", "gone"}, now));
  ASSERT_TRUE(wake());
  EXPECT_EQ(follower().next_wake(), absl::InfiniteFuture()) << "only an event helps";
}

TEST_F(FollowerTest, WhyNoSourceGivesHeadsIsTheReason) {
  local();
  play(follower().on_remote_lost({"source_unauthorized", "a: HTTP 401"}, now));
  EXPECT_EQ(follower().state(), TowState::waiting_for_source);
  EXPECT_EQ(follower().reason_code().text(), "source_unauthorized");
  play(follower().on_remote_lost({"unknown_rules", "hash: header 7"}, now));
  EXPECT_EQ(follower().state(), TowState::unknown_rules);
}

// ---------------------------------------------------------------- startup

TEST_F(FollowerTest, D1_FromASnapshotBelowWhatIsFinalThereIsOneImportToTheTip) {
  ours = Chain{50};
  safe = finalized = std::nullopt;
  driver.confirmed_finalized = theirs.at(80)->id();
  both();
  EXPECT_THAT(did, ElementsAre("import 50..100 safe 90 finalized 80"));
  EXPECT_EQ(follower().state(), TowState::at_tip);
}

TEST_F(FollowerTest, D1_AHeadBelowTheConfirmedFinalizedAndOffTheRemoteChainIsLedBackToWhatIsShared) {
  ours = theirs.fork(40, 1, 50);
  safe = finalized = std::nullopt;
  driver.confirmed_finalized = theirs.at(80)->id();
  both();
  EXPECT_THAT(did,
              ElementsAre("import 50..100 safe 90 finalized 80", "compare", "import 40..100 safe 90 finalized 80"));
  EXPECT_EQ(follower().state(), TowState::at_tip);
}

TEST_F(FollowerTest, D2_GenesisIsPromotedToSafeAndFinalized) {
  ours = theirs = Chain{0};
  safe = finalized = std::nullopt;
  remote_safe = remote_finalized = 0;
  both();
  EXPECT_THAT(did, ElementsAre("labels safe 0 finalized 0"));
}

TEST_F(FollowerTest, D3_AMissingSafeLabelIsSeeded) {
  safe = std::nullopt;
  both();
  EXPECT_THAT(did, ElementsAre("labels safe 90 finalized -"));
}

TEST_F(FollowerTest, D4_NothingIsDecidedBeforeTheEngineHasAnswered) {
  driver.status = EngineStatus::starting;
  play(follower().on_local(driver, now));
  remote();
  EXPECT_THAT(did, IsEmpty());
  EXPECT_EQ(follower().state(), TowState::starting);
  driver.status = EngineStatus::ready;
  safe = finalized = std::nullopt;
  local();
  EXPECT_THAT(did, ElementsAre("labels safe 90 finalized 80"));
}

TEST_F(FollowerTest, D5_RestartWithEqualHeadsSendsNothing) {
  both();
  EXPECT_THAT(did, IsEmpty());
  EXPECT_EQ(follower().state(), TowState::at_tip);
}

TEST_F(FollowerTest, D6_AnEngineThatStartsLaterIsFollowedFromThen) {
  driver.status = EngineStatus::unreachable;
  driver.reason = "connection refused";
  theirs.grow(110, 0);
  both();
  EXPECT_THAT(did, IsEmpty());
  EXPECT_EQ(follower().state(), TowState::waiting_for_engine);
  EXPECT_EQ(follower().reason(), "connection refused");
  driver.status = EngineStatus::ready;
  local();
  EXPECT_THAT(did, ElementsAre("import 100..110 safe - finalized -"));
}

// ---------------------------------------------------------------- following

TEST_F(FollowerTest, D8_LabelsReachTheRemotesOnes) {
  both();
  remote_safe = 97;
  remote_finalized = 92;
  remote();
  EXPECT_THAT(did, ElementsAre("labels safe 97 finalized 92"));
  EXPECT_EQ(safe, 97);
  EXPECT_EQ(finalized, 92);
}

TEST_F(FollowerTest, D9_OneBlockAtATimeStaysAtTheTip) {
  both();
  for (std::uint64_t n = 101; n <= 200; ++n) {
    theirs.grow(n, 0);
    remote_safe = n - 10;
    remote_finalized = n - 20;
    remote();
    ASSERT_THAT(taken(), ElementsAre(absl::StrCat("import ", n - 1, "..", n, " safe ", n - 10, " finalized ", n - 20)));
    ASSERT_EQ(follower().state(), TowState::at_tip);
  }
}

TEST_F(FollowerTest, D12_ABlockThatIsThereAlreadyGetsItsLabelOnly) {
  ours.grow(103, 0);
  both();
  EXPECT_THAT(taken(), ElementsAre("compare"));
  theirs.grow(103, 0);
  remote_safe = 95;
  remote();
  EXPECT_THAT(did, ElementsAre("labels safe 95 finalized -"));
}

TEST_F(FollowerTest, D47_AGapOfAnySizeIsOneImport) {
  theirs.grow(5000, 0);
  both();
  EXPECT_THAT(did, ElementsAre("import 100..5000 safe - finalized -"));
}

TEST_F(FollowerTest, TheUnsafeHeadIsLeftAloneWithUnsafeSourceNone) {
  restart({.unsafe_from_remote = false});
  ours = Chain{90};
  remote_safe = 95;
  both();
  EXPECT_THAT(did, ElementsAre("import 90..95 safe 95 finalized -"));
}

// ---------------------------------------------------------------- labels

TEST_F(FollowerTest, D16_FinalizedAheadOfOurSafeLiftsSafeWithIt) {
  safe = 50;
  finalized = 40;
  remote_safe = std::nullopt;
  both();
  EXPECT_THAT(did, ElementsAre("labels safe 80 finalized 80"));
}

TEST_F(FollowerTest, D17_RemoteSafeBelowOurFinalizedChangesNothing) {
  remote_safe = 70;
  remote_finalized = 60;
  both();
  EXPECT_THAT(did, IsEmpty());
  EXPECT_THAT(actions(), ElementsAre("hold_safe", "hold_finalized"));
  EXPECT_EQ(follower().state(), TowState::at_tip);
}

TEST_F(FollowerTest, D18_RemoteSafeBehindOursOnTheSameChainIsHeld) {
  remote_safe = 85;
  both();
  EXPECT_THAT(did, IsEmpty());
  EXPECT_THAT(actions(), ElementsAre("hold_safe"));
}

TEST_F(FollowerTest, D19_AnotherFinalizedBlockAtOurHeightIsAnAlarmAndHealsByItself) {
  const Chain honest = theirs;
  theirs = theirs.fork(75, 1, 120);
  both();
  EXPECT_THAT(did, IsEmpty());
  EXPECT_EQ(follower().state(), TowState::diverged);
  EXPECT_EQ(follower().diverged_remote()->number, 80U);
  while (now < absl::FromUnixSeconds(1'700'000'060)) {
    if (!wake(absl::Seconds(30))) break;
  }
  EXPECT_THAT(taken(), IsEmpty()) << "something was sent while diverged";
  theirs = honest;
  theirs.grow(120, 0);
  remote();
  wake();
  EXPECT_THAT(did, ElementsAre("import 100..120 safe - finalized -"));
  EXPECT_EQ(follower().state(), TowState::at_tip);
  EXPECT_FALSE(follower().diverged_remote());
}

TEST_F(FollowerTest, D20_ASafeBlockInOurRangeWithAnotherHashIsAReorg) {
  restart({.unsafe_from_remote = false});
  theirs = theirs.fork(92, 1, 95);
  remote_safe = 95;
  both();
  EXPECT_THAT(did, ElementsAre("compare", "import 92..95 safe 95 finalized -"));
}

TEST_F(FollowerTest, D21_ALabelAboveOurHeadWaits) {
  remote_safe = 100;
  both();
  EXPECT_THAT(taken(), ElementsAre("labels safe 100 finalized -"));
  auto s = snapshot();
  Chain longer = theirs;
  longer.grow(130, 0);
  s.safe = longer.at(130);
  play(follower().on_remote(s, now));
  EXPECT_THAT(did, IsEmpty());
}

TEST_F(FollowerTest, D23_SafeAndFinalizedMoveInOneCommand) {
  remote_safe = 99;
  remote_finalized = 98;
  both();
  EXPECT_THAT(did, ElementsAre("labels safe 99 finalized 98"));
}

TEST_F(FollowerTest, D23_FinalizedIsNotUnwoundWhenAnUpdateFails) {
  both();
  remote_safe = 95;
  remote_finalized = 85;
  theirs.grow(101, 0);
  on_import = [&](const Import&) { return ended(Outcome::not_applied, "VALID, but safe reads back as 90"); };
  remote();
  on_import = nullptr;
  wake();
  EXPECT_EQ(finalized, 85);
  EXPECT_EQ(safe, 95);
}

// ---------------------------------------------------------------- reorgs

TEST_F(FollowerTest, D25_SafeMovesForwardOnAnotherBranchPastOurHead) {
  theirs = theirs.fork(92, 1, 110);
  remote_safe = 105;
  both();
  EXPECT_THAT(did,
              ElementsAre("import 100..110 safe 105 finalized -", "compare", "import 92..110 safe 105 finalized -"));
  EXPECT_EQ(follower().last_reorg_depth(), 8U);
  EXPECT_LE(follower().last_walkback_rounds(), 2);
  EXPECT_THAT(actions(), Contains("reorg"));
}

TEST_F(FollowerTest, D26_AnotherBranchOfTheSameHeight) {
  theirs = theirs.fork(95, 1, 100);
  both();
  EXPECT_THAT(did, ElementsAre("compare", "import 95..100 safe 90 finalized -"));
}

TEST_F(FollowerTest, D27_AnotherBranchThatIsLower) {
  theirs = theirs.fork(93, 1, 97);
  both();
  EXPECT_THAT(did, ElementsAre("compare", "import 93..97 safe 90 finalized -"));
  EXPECT_EQ(ours.tip(), 97U);
}

TEST_F(FollowerTest, D28_AnL1ReorgTakesSafeBlocksAway) {
  theirs = theirs.fork(84, 1, 120);
  remote_safe = 86;
  both();
  EXPECT_THAT(did, ElementsAre(HasSubstr("import 100..120"), "compare", "import 84..120 safe 86 finalized -"));
  EXPECT_EQ(safe, 86);
}

TEST_F(FollowerTest, D29_AReorgThatEndsInOurSafeBlockLeavesItSafe) {
  theirs = theirs.fork(90, 1, 101);
  both();
  EXPECT_EQ(ours.at(101)->hash, theirs.at(101)->hash);
  EXPECT_EQ(safe, 90);
  EXPECT_EQ(finalized, 80);
}

TEST_F(FollowerTest, D30_ABranchThatLeavesBelowFinalizedIsRefusedAndHealsByItself) {
  const Chain honest = theirs;
  theirs = theirs.fork(70, 1, 120);
  remote_finalized = 60;
  both();
  EXPECT_THAT(taken(), Not(Contains(HasSubstr("import 7"))));
  EXPECT_EQ(follower().state(), TowState::diverged);
  EXPECT_EQ(ours.at(100)->hash, honest.at(100)->hash);
  theirs = honest;
  theirs.grow(121, 0);
  remote();
  while (follower().state() != TowState::at_tip && wake(absl::Minutes(1))) {
  }
  EXPECT_EQ(ours.tip(), 121U);
}

TEST_F(FollowerTest, D30_ASearchThatCannotBeAnsweredIsTriedAgain) {
  theirs = theirs.fork(95, 1, 100);
  remote_headers = absl::UnavailableError("all endpoints failed");
  both();
  EXPECT_THAT(taken(), ElementsAre("compare"));
  EXPECT_EQ(follower().state(), TowState::waiting_for_source);
  EXPECT_THAT(follower().reason(), HasSubstr("all endpoints failed"));
  remote_headers = absl::OkStatus();
  ASSERT_TRUE(wake(absl::Seconds(5)));
  EXPECT_EQ(ours.at(100)->hash, theirs.at(100)->hash);
}

TEST_F(FollowerTest, D30_TheSourceTakesAnotherBranchInTheMiddleOfASearch) {
  const Chain before = theirs;
  ours = theirs = Chain{4000};
  safe = remote_safe = 1100;
  finalized = remote_finalized = 1000;
  both();
  theirs = theirs.fork(1500, 1, 4010);
  int rounds = 0;
  on_compare = [&] {
    if (++rounds == 2) theirs = theirs.fork(1300, 2, 4020);
  };
  remote();
  for (int i = 0; i < 20 && ours.at(ours.tip())->hash != theirs.at(theirs.tip())->hash; ++i) {
    remote();
    wake(absl::Minutes(1));
  }
  EXPECT_EQ(ours.tip(), 4020U);
  EXPECT_EQ(ours.at(4020)->hash, theirs.at(4020)->hash);
}

TEST_F(FollowerTest, D30_AReorgDuringACatchUp) {
  theirs.grow(1000, 0);
  on_import = [&](const Import&) {
    // Half of the import succeeds, then the source leaves that branch, below the new head.
    ours = theirs.fork(600, 0, 600);
    theirs = theirs.fork(550, 1, 1005);
    on_import = nullptr;
    return ended(Outcome::source_reorged, "the tip is gone");
  };
  both();
  remote();
  for (int i = 0; i < 10 && ours.tip() != 1005; ++i) wake(absl::Minutes(1));
  EXPECT_EQ(ours.at(1005)->hash, theirs.at(1005)->hash);
  EXPECT_THAT(did, Contains(HasSubstr("import 550..1005")));
}

TEST_F(FollowerTest, AtTheTipAHeadThatOtherReplicasHaveNotGotYetIsNoCatchUp) {
  both();
  ASSERT_EQ(follower().state(), TowState::at_tip);
  theirs.grow(102, 0);
  int tries = 0;
  on_import = [&](const Import&) {
    ++tries;
    EXPECT_EQ(follower().state(), TowState::at_tip) << "try " << tries;
    if (tries == 3) on_import = nullptr;
    return ended(Outcome::source_reorged, "no source has block 102");
  };
  remote();
  for (int i = 0; i < 10 && ours.tip() != 102; ++i) wake(absl::Minutes(1));
  EXPECT_EQ(tries, 3);
  EXPECT_EQ(ours.tip(), 102U);
}

TEST_F(FollowerTest, D32_ACLThatReplaysAfterARestartIsNotBelieved) {
  both();
  auto s = snapshot();
  s.kind = contract::EndpointKind::cl;
  s.unsafe = s.safe = s.finalized = theirs.at(85);
  s.current_l1 = eth::BlockRef{};
  play(follower().on_remote(s, now));
  EXPECT_THAT(did, IsEmpty());
  EXPECT_EQ(follower().state(), TowState::at_tip);
  EXPECT_THAT(actions(), ElementsAre("hold"));
  theirs.grow(101, 0);
  s = snapshot();
  s.kind = contract::EndpointKind::cl;
  s.current_l1 = theirs.at(7);
  play(follower().on_remote(s, now));
  EXPECT_THAT(did, ElementsAre("import 100..101 safe - finalized -"));
}

TEST_F(FollowerTest, D51_ARemoteHeadThatIsAnAncestorIsNothingToDoAndSaysSo) {
  theirs = Chain{95};
  both();
  EXPECT_THAT(did, ElementsAre("compare"));
  EXPECT_EQ(follower().state(), TowState::at_tip);
  EXPECT_EQ(follower().reason_code().text(), "ahead_of_source");
  EXPECT_THAT(follower().reason(), HasSubstr("is an ancestor of ours"));
  EXPECT_THAT(actions(), ElementsAre("no_op"));
  did.clear();
  remote();
  EXPECT_THAT(did, IsEmpty()) << "the same head was compared again";
}

// ---------------------------------------------------------------- answers of the EL

TEST_F(FollowerTest, D35_WhileTheEngineMissesBlocksNoLabelMoves) {
  theirs.grow(120, 0);
  remote_safe = 110;
  on_import = [&](const Import&) { return ended(Outcome::missing_state, "newPayload 101: SYNCING"); };
  both();
  for (int i = 0; i < 5; ++i) wake();
  EXPECT_THAT(did, Not(Contains(HasSubstr("labels"))));
  EXPECT_THAT(did, Not(Contains(HasSubstr("rewind"))));
  EXPECT_EQ(safe, 90);
  EXPECT_EQ(follower().state(), TowState::waiting_for_engine);
}

TEST_F(FollowerTest, D36_AnInvalidBlockDoesNotTakeTheHeadBack) {
  theirs.grow(110, 0);
  on_import = [&](const Import& i) {
    auto r = ended(Outcome::invalid, "newPayload 105: INVALID");
    r.block = theirs.at(105)->id();
    EXPECT_EQ(i.range.parent.number, 100U);
    return r;
  };
  both();
  for (int i = 0; i < 4; ++i) wake();
  EXPECT_EQ(ours.tip(), 100U);
  EXPECT_EQ(follower().reason_code().text(), "invalid_block");
  EXPECT_THAT(did, Not(Contains(HasSubstr("rewind"))));
}

TEST_F(FollowerTest, D37_AnEngineThatComesBackLowerIsTowedFromThere) {
  theirs.grow(300, 0);
  on_import = [&](const Import&) {
    on_import = nullptr;
    return ended(Outcome::engine_unavailable, "connection refused");
  };
  both();
  EXPECT_EQ(follower().state(), TowState::waiting_for_engine);
  ours = Chain{60};
  safe = finalized = std::nullopt;
  driver.engine_session = 2;
  driver.confirmed_finalized = theirs.at(80)->id();
  did.clear();
  local();
  EXPECT_THAT(did, ElementsAre("import 60..300 safe 90 finalized 80"));
}

TEST_F(FollowerTest, D37b_APoisonedHeadIsLeftAsSoonAsTheSourceLeavesIt) {
  theirs.grow(110, 0);
  on_import = [&](const Import&) { return ended(Outcome::invalid, "newPayload 110: INVALID"); };
  both();
  on_import = nullptr;
  theirs = theirs.fork(105, 1, 112);
  remote();
  wake();
  EXPECT_EQ(ours.at(112)->hash, theirs.at(112)->hash);
}

TEST_F(FollowerTest, D38_AnEngineThatSyncedByItselfToAnotherHeightIsTakenAsItIs) {
  theirs.grow(200, 0);
  ours.grow(160, 0);
  both();
  EXPECT_THAT(did, ElementsAre("import 160..200 safe - finalized -"));
}

TEST_F(FollowerTest, D38_ASyncOfTheElsOwnEndsWithValidAndThenLabelsAreSet) {
  theirs.grow(1000, 0);
  remote_safe = 990;
  remote_finalized = 980;
  restart({.start = {StartMode::elsync}});
  both();
  EXPECT_THAT(taken(), ElementsAre("el sync 990"));
  EXPECT_EQ(follower().state(), TowState::el_syncing);
  now += absl::Seconds(5);
  ours.grow(500, 0);
  ++driver.engine_session;  // the EL was briefly away: no label is restored meanwhile
  both();
  EXPECT_THAT(taken(), IsEmpty());
  now += absl::Seconds(5);
  ours.grow(990, 0);
  local();
  EXPECT_THAT(taken(), ElementsAre("el sync 990", "import 990..1000 safe 990 finalized 980"));
  EXPECT_EQ(follower().state(), TowState::at_tip);
  EXPECT_THAT(actions(), Contains("el_synced"));
}

TEST_F(FollowerTest, AnElSyncThatStandsStillIsGivenUpForAnImport) {
  theirs.grow(1000, 0);
  remote_safe = 990;
  remote_finalized = 980;
  driver.el_peers = 0;
  restart({.start = {StartMode::elsync}});
  both();
  EXPECT_THAT(taken(), ElementsAre("el sync 990"));
  now += absl::Seconds(61);
  local();
  EXPECT_THAT(taken(), ElementsAre("import 100..1000 safe 990 finalized 980"));
  EXPECT_THAT(actions(), Contains("el_sync_stalled"));
  EXPECT_EQ(follower().state(), TowState::at_tip);
}

TEST_F(FollowerTest, AnEmptyElThatExecutesNothingIsToSyncByItselfOnce) {
  with_an_el_that_executes_nothing();
  both();
  EXPECT_THAT(taken(), ElementsAre("import 0..1000 safe 990 finalized 980", "el sync 990"));
  EXPECT_EQ(follower().state(), TowState::el_syncing);
  now += absl::Seconds(61);
  local();
  EXPECT_EQ(follower().state(), TowState::needs_operator);
  EXPECT_EQ(follower().reason_code(), Code{ReasonCode::el_sync_stalled});
  EXPECT_THAT(actions(), Contains("el_sync_stalled"));
  // An operator restarted the EL.
  ++driver.engine_session;
  on_import = nullptr;
  local();
  EXPECT_EQ(follower().state(), TowState::at_tip);
}

TEST_F(FollowerTest, AnElThatExecutesAfterARestartThatNobodySawIsFound) {
  with_an_el_that_executes_nothing();
  both();
  now += absl::Seconds(61);
  local();
  on_import = [&](const Import&) {
    EXPECT_EQ(follower().reason_code(), Code{ReasonCode::el_sync_stalled}) << "an attempt does not change it";
    return ended(Outcome::missing_state, "newPayload 1: SYNCING");
  };
  for (int i = 0; i < 3; ++i) {
    now += absl::Seconds(30);
    did.clear();
    local();
    EXPECT_THAT(taken(), ElementsAre("import 0..1000 safe 990 finalized 980", "el sync 990"));
    EXPECT_EQ(follower().state(), TowState::needs_operator);
    EXPECT_EQ(follower().reason_code(), Code{ReasonCode::el_sync_stalled});
  }
  on_import = [&](const Import& i) {
    ours = theirs.fork(500, 0, 500);
    driver.import = contract::ImportProgress{.imported = ours.at(500)->id(), .tip = i.range.tip, .blocks = 500};
    local();
    EXPECT_EQ(follower().state(), TowState::importing) << "it executes them";
    driver.import.reset();
    return import(i);
  };
  now += absl::Seconds(30);
  local();
  EXPECT_EQ(follower().state(), TowState::at_tip);
}

TEST_F(FollowerTest, NothingIsImportedBeforeASnapshotIsThere) {
  ours = Chain{0};
  safe = finalized = std::nullopt;
  theirs.grow(1000, 0);
  restart({.start = {StartMode::snapshot}});
  both();
  EXPECT_THAT(taken(), IsEmpty());
  EXPECT_EQ(follower().reason_code(), Code{ReasonCode::waiting_for_snapshot});
  ours.grow(700, 0);
  both();
  EXPECT_THAT(taken(), ElementsAre("import 700..1000 safe 90 finalized 80"));
}

TEST_F(FollowerTest, ABranchTooDeepNeedsAnOperatorAfterAWhileAndGoesOnByItself) {
  ours = theirs = Chain{1000};
  safe = remote_safe = 500;
  finalized = remote_finalized = 400;
  both();
  theirs = theirs.fork(800, 1, 1010);
  const auto too_deep = [&](const Import& i) {
    return i.range.parent.number == 1000 ? ended(Outcome::source_reorged)
                                         : ended(Outcome::missing_state, "newPayload 801: ACCEPTED");
  };
  on_import = too_deep;
  remote();
  EXPECT_EQ(follower().state(), TowState::waiting_for_engine);
  const absl::Time began = now;
  while (now < began + absl::Seconds(45)) ASSERT_TRUE(wake(absl::Seconds(30)));
  EXPECT_EQ(follower().state(), TowState::needs_operator);
  EXPECT_EQ(follower().reason_code().text(), "branch_too_deep");
  EXPECT_THAT(follower().reason(), HasSubstr("debug_setHead(\"0x320\")"));
  EXPECT_THAT(did, Not(Contains(HasSubstr("rewind"))));
  on_import = nullptr;  // an operator rewound the EL
  for (int i = 0; i < 5 && ours.tip() != 1010; ++i) wake();
  EXPECT_EQ(follower().state(), TowState::at_tip);
}

/// A branch that leaves ours 200 blocks below the head; the EL lacks the state there.
class RewindTest : public FollowerTest {
 protected:
  RewindTest() {
    driver.can_rewind = true;
    ours = theirs = Chain{1000};
    safe = remote_safe = 500;
    finalized = remote_finalized = 400;
    groups = 3;
    agree = 2;
    both();
    theirs = theirs.fork(800, 1, 1010);
    remote_safe = 900;
    on_import = [&](const Import& i) -> absl::StatusOr<CommandResult> {
      if (i.range.parent.number == 1000) return ended(Outcome::source_reorged);
      if (ours.tip() != 800) return ended(Outcome::missing_state, "newPayload 801: ACCEPTED");
      return import(i);
    };
    remote();
    taken();
  }
  /// Sources and clock advance for this long. Returns the rewind, if there was one.
  std::string for_seconds(int seconds) {
    for (const absl::Time end = now + absl::Seconds(seconds); now < end; now += absl::Seconds(1)) {
      while (wake(absl::ZeroDuration())) {
      }
      remote();
    }
    const auto all = taken();
    const auto rewind = std::find_if(all.begin(), all.end(), [](const auto& d) { return d.starts_with("rewind"); });
    return rewind == all.end() ? "" : *rewind;
  }
};

TEST_F(RewindTest, AfterAMinuteOfAMajoritysBranchWithItsSafeBlock) {
  EXPECT_EQ(for_seconds(55), "");
  EXPECT_EQ(follower().state(), TowState::waiting_for_engine);
  EXPECT_THAT(follower().reason(), HasSubstr("it is rewound there if most sources have that branch"));
  EXPECT_EQ(for_seconds(20), "rewind 800");
  EXPECT_EQ(follower().state(), TowState::at_tip);
  EXPECT_EQ(ours.at(1010)->hash, theirs.at(1010)->hash);
}

TEST_F(RewindTest, NotOnAMinoritysWordAndTheMinuteBeginsAnew) {
  EXPECT_EQ(for_seconds(50), "");
  agree = 1;
  EXPECT_EQ(for_seconds(120), "");
  EXPECT_EQ(follower().reason_code().text(), "branch_too_deep");
  EXPECT_THAT(follower().reason(), HasSubstr("1 of 3 trust groups have that branch"));
  agree = 2;
  EXPECT_EQ(for_seconds(50), "");
  EXPECT_EQ(for_seconds(30), "rewind 800");
}

TEST_F(RewindTest, OfOneGroupOnlyIfToldSo) {
  groups = agree = 1;
  EXPECT_EQ(for_seconds(120), "");
  EXPECT_EQ(follower().reason_code().text(), "branch_too_deep");
  EXPECT_THAT(follower().reason(), HasSubstr("--engine.admin-rpc-trust=single-source"));
  driver.rewind_for_single_source = true;
  local();
  EXPECT_EQ(for_seconds(90), "rewind 800");
}

TEST_F(RewindTest, NotForABranchWithoutASafeBlock) {
  remote_safe = 700;
  EXPECT_EQ(for_seconds(120), "");
  EXPECT_THAT(follower().reason(), HasSubstr("no block of that branch is safe"));
  remote_safe = 900;
  safe_hold = contract::Hold::quorum_lost;
  EXPECT_EQ(for_seconds(120), "");
  safe_hold = contract::Hold::none;
  EXPECT_EQ(for_seconds(90), "rewind 800");
}

TEST_F(FollowerTest, AChainWhoseRulesAreUnknownIsNamedAndTriedOn) {
  theirs.grow(110, 0);
  on_import = [&](const Import&) { return ended(Outcome::source_unavailable, "withdrawalsRoot: absent"); };
  local();
  auto s = snapshot();
  s.unknown_rules = "withdrawalsRoot: absent";
  play(follower().on_remote(s, now));
  EXPECT_EQ(follower().state(), TowState::unknown_rules);
  EXPECT_THAT(follower().reason(), HasSubstr("withdrawalsRoot: absent"));
  on_import = nullptr;
  wake();
  EXPECT_EQ(ours.tip(), 110U);
}

TEST_F(FollowerTest, AnEngineThatDoesNotTakeTheForksNeedsAnOperator) {
  theirs.grow(110, 0);
  on_import = [&](const Import&) {
    return ended(Outcome::unsupported, "newPayload 101: error -38005 Unsupported fork");
  };
  both();
  EXPECT_EQ(follower().state(), TowState::needs_operator);
  EXPECT_THAT(follower().reason(), HasSubstr("-38005"));
  EXPECT_LT(follower().next_wake(), absl::InfiniteFuture());
}

/// Whatever ends an import every time, it is retried after growing pauses, and never in a tight loop.
TEST_F(FollowerTest, NoOutcomeIsForgottenAndNoneIsRepeatedWithoutAPause) {
  for (const Outcome o : {Outcome::missing_state, Outcome::invalid, Outcome::not_applied, Outcome::engine_unavailable,
                          Outcome::source_unavailable, Outcome::source_reorged, Outcome::unsupported,
                          Outcome::cancelled, Outcome::contradicts_finalized}) {
    SCOPED_TRACE(contract::name(o));
    restart({});
    ours = theirs = Chain{100};
    theirs.grow(110, 0);
    int imports = 0;
    on_import = [&](const Import&) {
      EXPECT_LT(++imports, 100) << "a loop";
      return imports < 100 ? ended(o) : ended(Outcome::cancelled);
    };
    both();
    const absl::Time began = now;
    while (now < began + absl::Minutes(2)) ASSERT_TRUE(wake(absl::Minutes(1))) << "nothing is due any more";
    EXPECT_LE(imports, 40);
    EXPECT_GE(imports, 5);
    on_import = nullptr;
    while (ours.tip() != 110) ASSERT_TRUE(wake(absl::Minutes(1)));
    EXPECT_EQ(follower().state(), TowState::at_tip);
  }
}

// ---------------------------------------------------------------- outages, operators, rivals

TEST_F(FollowerTest, D40_ASourceThatIsDownAndComesBack) {
  both();
  play(follower().on_remote_lost({"no_heads", "remote-fetcher: connection refused"}, now));
  EXPECT_EQ(follower().state(), TowState::waiting_for_source);
  EXPECT_EQ(follower().reason(), "remote-fetcher: connection refused");
  theirs.grow(130, 0);
  remote();
  EXPECT_THAT(did, ElementsAre("import 100..130 safe - finalized -"));
  EXPECT_EQ(follower().state(), TowState::at_tip);
}

TEST_F(FollowerTest, ADriverThatIsLostInTheMiddleOfAnImport) {
  theirs.grow(110, 0);
  on_import = [&](const Import&) -> absl::StatusOr<CommandResult> {
    on_import = nullptr;
    follower().on_local_lost("engine-driver: connection refused", now);
    return absl::UnavailableError("engine-driver: connection refused");
  };
  both();
  EXPECT_EQ(follower().state(), TowState::waiting_for_engine);
  local();
  wake();
  EXPECT_EQ(ours.tip(), 110U);
}

TEST_F(FollowerTest, PausedNothingIsSentUntilItIsResumed) {
  both();
  play(follower().pause("maintenance", now));
  EXPECT_EQ(follower().state(), TowState::paused);
  EXPECT_EQ(follower().reason(), "maintenance");
  theirs.grow(105, 0);
  remote();
  local();
  EXPECT_THAT(did, IsEmpty());
  play(follower().resume(now));
  EXPECT_THAT(did, ElementsAre("import 100..105 safe - finalized -"));
}

TEST_F(FollowerTest, AnotherCoordinatorWithANewerTermIsLeftAlone) {
  both();
  EXPECT_EQ(follower().term(), 1U);
  driver.term = 2;
  local();
  theirs.grow(105, 0);
  remote();
  EXPECT_THAT(did, IsEmpty());
  EXPECT_EQ(follower().reason_code().text(), "superseded");
}

TEST_F(FollowerTest, ARefusalForAnOldTermStopsIt) {
  theirs.grow(105, 0);
  for (const contract::Refusal r : {contract::Refusal::stale_term, contract::Refusal::other_authority}) {
    SCOPED_TRACE(contract::name(r));
    start_refused(r);
    EXPECT_EQ(follower().reason_code().text(), "superseded");
    EXPECT_EQ(did.size(), 1U);
  }
}

/// The text of the refusal does not matter.
TEST_F(FollowerTest, AParentThatIsNotOnTheElsChainIsLookedForAgain) {
  theirs.grow(105, 0);
  bool once = false;
  on_import = [&](const Import& i) {
    return std::exchange(once, true) ? import(i) : refused(contract::Refusal::not_canonical);
  };
  both();
  while (labels().unsafe->number < 105 && wake(absl::Minutes(1))) {
  }
  EXPECT_EQ(labels().unsafe->number, 105U);
  EXPECT_EQ(follower().decisions()[1].action, Action::refused);
}

TEST_F(FollowerTest, OtherRefusalsAreTriedAgainLater) {
  theirs.grow(105, 0);
  for (const contract::Refusal r : {contract::Refusal::head_moved, contract::Refusal::impossible_term,
                                    contract::Refusal::label_order, contract::Refusal::below_finalized}) {
    SCOPED_TRACE(contract::name(r));
    start_refused(r);
    EXPECT_NE(follower().reason_code().text(), "superseded");
    EXPECT_EQ(did.size(), 1U);
    EXPECT_TRUE(wake(absl::Minutes(1)));
    EXPECT_EQ(did.size(), 2U);
  }
}

TEST_F(FollowerTest, ABlockBesideWhatIsFinalEndsInDiverged) {
  theirs.grow(105, 0);
  on_import = [&](const Import& i) {
    auto r = ended(Outcome::contradicts_finalized);
    r.block = i.range.tip;
    return r;
  };
  both();
  EXPECT_EQ(follower().state(), TowState::diverged);
}

TEST_F(FollowerTest, SoDoesAGossipedOneWhileNoSourceIsThere) {
  with_gossip(true);
  both();
  play(follower().on_remote_lost({"no_heads", "no heads"}, now));
  on_import = [&](const Import& i) {
    auto r = ended(Outcome::contradicts_finalized);
    r.block = i.range.tip;
    return r;
  };
  network.grow(101, 0);
  gossip({101});
  EXPECT_THAT(taken(), Contains(HasSubstr("gossip 100..101")));
  EXPECT_EQ(follower().state(), TowState::diverged);
}

TEST_F(FollowerTest, ItsTermIsAboveTheOneThatTheDriverKept) {
  driver.term = 41;
  both();
  EXPECT_EQ(follower().term(), 42U);
}

TEST_F(FollowerTest, AnAnswerToAnOldQuestionIsIgnored) {
  both();
  EXPECT_FALSE(follower().on_command_done(77, ended(Outcome::invalid), now).has_value());
  EXPECT_FALSE(follower().on_compared(77, std::vector<eth::BlockRef>{}, std::vector<eth::BlockRef>{}, now).has_value());
  EXPECT_EQ(follower().state(), TowState::at_tip);
}

TEST_F(FollowerTest, DecisionsAreABoundedRingThatCountsRepeats) {
  remote_safe = 85;
  both();
  for (int i = 0; i < 10; ++i) remote();
  ASSERT_EQ(follower().decisions().size(), 1U);
  EXPECT_EQ(follower().decisions().front().repeated, 10U);
  for (int i = 0; i < 5000; ++i) {
    remote_safe = 85 + i % 2;
    remote();
  }
  ASSERT_EQ(follower().decisions().size(), 1U) << "they alternate";
  EXPECT_EQ(follower().decisions().back().repeated, 5010U);
  for (int i = 0; i < 5000; ++i) follower().pause(absl::StrCat("for the ", i, "th time"), now);
  EXPECT_EQ(follower().decisions().size(), 1024U);
  EXPECT_EQ(follower().decisions().back().sequence, 5001U);
  for (const auto& d : follower().decisions()) EXPECT_NE(d.action, Action::unknown);
}

TEST_F(FollowerTest, HoursAtTheTipLeaveRoomForWhatMatters) {
  both();
  for (std::uint64_t n = 101; n <= 8'000; ++n) {
    theirs.grow(n, 0);
    remote_safe = n - 10;
    remote_finalized = n - 20;
    both();
  }
  EXPECT_EQ(ours.tip(), 8'000U);
  EXPECT_LE(follower().decisions().size(), 4U);
}

TEST_F(FollowerTest, DecisionsOfAnEarlierProcessStay) {
  both();
  follower().pause("before", now);
  const auto before = follower().decisions();
  restart({});
  follower().restore(before);
  follower().pause("after", now);
  EXPECT_EQ(follower().decisions().front().reason, "before");
  EXPECT_EQ(follower().decisions().back().sequence, before.back().sequence + 1);
}

TEST_F(FollowerTest, ACoordinatorThatStandsAsideTakesOverWhenTheOtherIsGone) {
  both();
  driver.authority = "single";
  driver.term = 9;
  driver.watchers = 2;
  driver.idle = absl::Minutes(5);
  local();
  EXPECT_EQ(follower().reason_code().text(), "superseded") << "it watches";
  driver.watchers = 1;
  driver.idle = absl::Seconds(29);
  local();
  EXPECT_EQ(follower().reason_code().text(), "superseded") << "it commanded just now";
  driver.idle = absl::Seconds(30);
  both();
  EXPECT_EQ(follower().term(), 10U);
  EXPECT_EQ(follower().state(), TowState::at_tip);
  driver.authority = "etcd";
  driver.term = 11;
  local();
  EXPECT_EQ(follower().reason_code().text(), "superseded") << "an elector decides that";
}

TEST_F(FollowerTest, ADriverThatLostItsStateIsNotAskedForALeap) {
  driver.term = 5'000;
  both();
  EXPECT_EQ(follower().term(), 5'001U);
  driver.term = 0;
  local();
  EXPECT_EQ(follower().term(), 1U);
}

TEST_F(FollowerTest, AnElThatCameBackGetsItsLabelsFirst) {
  both();
  taken();
  driver.confirmed_finalized = ours.at(80)->id();
  finalized = 70;
  ++driver.engine_session;
  theirs.grow(140, 0);
  remote_finalized = 90;
  remote_safe = 95;
  local();
  remote();
  const auto did_so = taken();
  ASSERT_FALSE(did_so.empty());
  EXPECT_EQ(did_so.front(), "labels safe - finalized 80");
}

// ---------------------------------------------------------------- the p2p network

TEST_F(FollowerTest, AGossipedBlockOnOurHeadIsImportedAtOnce) {
  for (const bool remote_too : {false, true}) {
    SCOPED_TRACE(remote_too);
    ours = theirs = network = Chain{100};
    with_gossip(remote_too);
    both();
    taken();
    network.grow(103, 0);
    gossip({101, 102, 103});
    EXPECT_THAT(taken(), ElementsAre("gossip 100..101 safe - finalized -", "gossip 101..102 safe - finalized -",
                                     "gossip 102..103 safe - finalized -"));
    EXPECT_EQ(follower().state(), TowState::at_tip);
    theirs.grow(103, 0);
    both();
    taken();
    EXPECT_THAT(taken(), IsEmpty()) << "the source says what is known";
    EXPECT_EQ(follower().state(), TowState::at_tip);
  }
}

TEST_F(FollowerTest, WithoutGossipItsBlocksAreNotLookedAt) {
  both();
  network.grow(101, 0);
  gossip({101});
  EXPECT_THAT(did, IsEmpty());
}

TEST_F(FollowerTest, BlocksOutOfOrderWaitForTheirParentAndAreImportedTogether) {
  with_gossip(false);
  both();
  taken();
  network.grow(103, 0);
  gossip({102, 103});
  EXPECT_THAT(taken(), IsEmpty()) << "101 is missing, and the source does not have it either";
  gossip({101});
  EXPECT_THAT(taken(), ElementsAre("gossip 100..103 safe - finalized -"));
}

TEST_F(FollowerTest, AGapIsFilledFromTheSourceAndNothingIsAskedForTwice) {
  for (const bool remote_too : {false, true}) {
    SCOPED_TRACE(remote_too);
    ours = theirs = network = Chain{100};
    with_gossip(remote_too);
    both();
    taken();
    network.grow(110, 0);
    gossip({108, 109, 110});
    theirs.grow(109, 0);
    remote();
    EXPECT_THAT(taken(), ElementsAre("import 100..107 safe - finalized -", "gossip 107..110 safe - finalized -"));
    EXPECT_EQ(ours.tip(), 110U);
  }
}

TEST_F(FollowerTest, AnOldBranchThatIsHigherDoesNotHideTheGapThatTheSourceCanFill) {
  with_gossip(false);
  both();
  taken();
  network = network.fork(90, 1, 200);
  gossip({190, 200});
  network = theirs.fork(100, 0, 110);
  gossip({108, 109, 110});
  theirs.grow(109, 0);
  remote();
  EXPECT_THAT(taken(), ElementsAre("import 100..107 safe - finalized -", "gossip 107..110 safe - finalized -"));
}

TEST_F(FollowerTest, GapsThatTheSourceCannotFillDoNotKeepItsOwnHeadOut) {
  with_gossip(false);
  both();
  taken();
  // Pieces of a branch that the source has left; one of them is always due for a retry.
  network = theirs.fork(90, 1, 150);
  for (std::uint64_t n = 110; n < 150; n += 5) gossip({n});
  theirs.grow(150, 0);
  remote_safe = 120;
  remote();
  for (int i = 0; i < 20 && ours.tip() < 120; ++i) ASSERT_TRUE(wake(absl::Seconds(20)));
  EXPECT_EQ(ours.tip(), 120U);
  EXPECT_EQ(safe, 120U);
}

TEST_F(FollowerTest, ATipFarAheadDoesNotDisturbACatchUp) {
  with_gossip(true);
  network = theirs = Chain{50'000};
  gossip({49'999, 50'000});
  std::vector<std::uint64_t> ids;
  // The import takes a while, and blocks arrive meanwhile.
  const std::optional<Effect> first = [&] {
    driver.labels = labels();
    play(follower().on_local(driver, now));
    return follower().on_remote(snapshot(), now);
  }();
  ASSERT_TRUE(first.has_value());
  const auto& import = std::get<Import>(*first);
  EXPECT_EQ(import.range.tip.number, 49'998U);
  EXPECT_FALSE(import.range.from_gossip());
  network.grow(50'010, 0);
  for (std::uint64_t n = 50'001; n <= 50'010; ++n) EXPECT_FALSE(follower().on_gossip(*network.at(n), now).has_value());
  play(first);
  EXPECT_THAT(taken(), ElementsAre("import 100..49998 safe - finalized -", "gossip 49998..50010 safe - finalized -"));
}

TEST_F(FollowerTest, WithoutASourceGossipIsFollowedAndLabelsStandStill) {
  with_gossip(true);
  both();
  play(follower().on_remote_lost({"no_heads", "gone"}, now));
  EXPECT_EQ(follower().state(), TowState::waiting_for_source);
  network.grow(102, 0);
  gossip({101, 102});
  EXPECT_THAT(taken(), ElementsAre("gossip 100..101 safe - finalized -", "gossip 101..102 safe - finalized -"));
  EXPECT_EQ(follower().state(), TowState::at_tip);
  EXPECT_EQ(follower().reason_code().text(), "gossip_only");
}

TEST_F(FollowerTest, TroubleWithTheSourceDoesNotHoldUpGossip) {
  with_gossip(true);
  both();
  taken();
  theirs = theirs.fork(98, 1, 99);
  remote_headers = absl::UnavailableError("503");
  remote();
  EXPECT_THAT(taken(), ElementsAre("compare"));
  EXPECT_EQ(follower().state(), TowState::waiting_for_source);
  network.grow(101, 0);
  gossip({101});
  EXPECT_THAT(taken(), ElementsAre("gossip 100..101 safe - finalized -", "compare"))
      << "then the source is tried again";
}

TEST_F(FollowerTest, LabelsMoveWhileGossipLeads) {
  with_gossip(false);
  both();
  taken();
  network.grow(105, 0);
  gossip({101, 102, 103, 104, 105});
  taken();
  theirs.grow(104, 0);
  remote_safe = 99;
  remote_finalized = 91;
  remote();
  EXPECT_THAT(taken(), ElementsAre("compare", "labels safe 99 finalized 91"));
}

TEST_F(FollowerTest, ABranchThatTheSafeChainHasLeftIsNotFed) {
  with_gossip(true);
  both();
  taken();
  network.grow(103, 0);
  gossip({101, 102, 103});
  taken();
  // The source derives another branch, with its safe head on it. The old sequencer keeps gossiping.
  theirs = theirs.fork(99, 1, 102);
  remote_safe = 101;
  remote();
  EXPECT_THAT(taken(), ElementsAre("compare", "import 99..102 safe 101 finalized -"));
  network.grow(120, 0);
  gossip({104, 105, 106, 110});
  EXPECT_THAT(taken(), IsEmpty());
  theirs.grow(104, 1);
  network = theirs;
  remote();
  EXPECT_THAT(taken(), ElementsAre("import 102..104 safe - finalized -"));
  network.grow(105, 1);
  gossip({105});
  EXPECT_THAT(taken(), ElementsAre("gossip 104..105 safe - finalized -"));
}

TEST_F(FollowerTest, ALongerSignedBranchIsTakenWhereNobodyElseHasAWord) {
  with_gossip(false);
  remote_has_unsafe = false;
  both();
  taken();
  network.grow(102, 0);
  gossip({101, 102});
  taken();
  network = network.fork(100, 1, 104);
  gossip({101, 102, 103});
  EXPECT_THAT(taken(), IsEmpty()) << "one longer is not enough";
  gossip({104});
  EXPECT_THAT(taken(), ElementsAre("gossip 100..104 safe 90 finalized -"));
  EXPECT_THAT(actions(), Contains("reorg"));
}

TEST_F(FollowerTest, TheRemotesUnsafeHeadDecidesBetweenTwoSignedBranches) {
  with_gossip(true);
  both();
  taken();
  network.grow(102, 0);
  gossip({101, 102});
  theirs.grow(102, 0);
  remote();
  taken();
  network = network.fork(100, 1, 110);
  gossip({101, 102, 103, 104, 105});
  EXPECT_THAT(taken(), IsEmpty()) << "the source names ours";
}

TEST_F(FollowerTest, TenSecondsLieBetweenTwoSwitchesToLongerSignedBranches) {
  with_gossip(false);
  remote_has_unsafe = false;
  both();
  const Chain one = network.fork(100, 1, 120), two = network.fork(100, 2, 120);
  network = one;
  gossip({101});
  taken();
  network = two;
  gossip({101, 102, 103});
  EXPECT_THAT(taken(), ElementsAre("gossip 100..103 safe 90 finalized -"));
  network = one;
  gossip({102, 103, 104, 105});
  EXPECT_THAT(taken(), IsEmpty());
  now += absl::Seconds(11);
  gossip({106});
  EXPECT_THAT(taken(), ElementsAre("gossip 100..106 safe 90 finalized -"));
}

TEST_F(FollowerTest, TenSecondsLieBetweenTwoSwitchesOnTheWordOfTheSourcesUnsafeHead) {
  with_gossip(true);
  both();
  network.grow(101, 0);
  gossip({101});
  const Chain first = network;
  theirs = theirs.fork(100, 1, 103);
  remote();
  ASSERT_EQ(ours.at(103)->hash, theirs.at(103)->hash);
  taken();
  theirs = first.fork(101, 0, 105);
  remote();
  EXPECT_THAT(taken(), Not(Contains("import 100..105 safe 90 finalized -")));
  EXPECT_EQ(follower().reason_code().text(), "hold_branch");
  now += absl::Seconds(11);
  remote();
  EXPECT_THAT(taken(), Contains("import 100..105 safe 90 finalized -"));
}

TEST_F(FollowerTest, TheHeadNeverSwingsBackAndForth) {
  with_gossip(true);
  both();
  const Chain one = network.fork(100, 1, 200), two = network.fork(100, 2, 200);
  // Two sequencers sign, and the source changes branches each second.
  int switches = 0;
  std::uint8_t last = 0;
  const absl::Time start = now;
  for (std::uint64_t n = 101; n < 160; ++n) {
    now += absl::Seconds(1);
    for (const Chain* c : {&one, &two}) {
      network = *c;
      if (ours.has(c->at(n - 1)->id()) || n % 2 == 0) gossip({n});
    }
    theirs = (n % 2 == 0 ? one : two).fork(n, 0, n);
    on_import = [&](const Import& i) -> absl::StatusOr<CommandResult> {
      for (const Chain* c : {&one, &two}) {
        if (!c->has(i.range.tip) || !c->has(i.range.parent)) continue;
        ours = c->fork(i.range.tip.number, 0, i.range.tip.number);
        return ended(Outcome::done, "");
      }
      return ended(Outcome::source_reorged);
    };
    local();
    remote();
    wake(absl::ZeroDuration());
    const std::uint8_t branch = ours.at(ours.tip())->hash.bytes[8];
    if (branch != last) ++switches;
    last = branch;
  }
  EXPECT_LE(switches, 1 + absl::ToInt64Seconds(now - start) / 10);
}

TEST_F(FollowerTest, BlocksThatTheCacheHasLostAreTakenFromTheSource) {
  with_gossip(true);
  both();
  taken();
  network.grow(102, 0);
  on_import = [&](const Import& i) -> absl::StatusOr<CommandResult> {
    if (i.range.from_gossip()) return ended(Outcome::source_reorged, "p2p-gossip was restarted");
    ours = theirs.fork(i.range.tip.number, 0, i.range.tip.number);
    return ended(Outcome::done, "");
  };
  gossip({101});
  EXPECT_THAT(taken(), ElementsAre("gossip 100..101 safe - finalized -"));
  theirs.grow(102, 0);
  remote();
  EXPECT_THAT(taken(), ElementsAre("import 100..102 safe - finalized -"));
}

TEST_F(FollowerTest, BlocksAreKeptWhileTheirPayloadsCannotBeHad) {
  with_gossip(true);
  both();
  taken();
  play(follower().on_remote_lost({"no_heads", "gone"}, now));
  int failures = 3;
  on_import = [&](const Import& i) -> absl::StatusOr<CommandResult> {
    if (failures-- > 0) return ended(Outcome::source_unavailable, "p2p-gossip does not answer");
    ours = network.fork(i.range.tip.number, 0, i.range.tip.number);
    return ended(Outcome::done, "");
  };
  network.grow(110, 0);
  for (std::uint64_t n = 101; n <= 110; ++n) gossip({n});
  EXPECT_THAT(taken(), ElementsAre("gossip 100..101 safe - finalized -")) << "not again for each block";
  EXPECT_EQ(failures, 2);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(wake(absl::Seconds(2)));
  EXPECT_THAT(taken(), Contains("gossip 100..110 safe - finalized -"));
  EXPECT_EQ(ours.tip(), 110U);
}

TEST_F(FollowerTest, OfBlocksThatTheCacheHasEvictedTheUpperHalfWaitsForTheSource) {
  with_gossip(true);
  both();
  taken();
  network.grow(110, 0);
  on_import = [&](const Import& i) -> absl::StatusOr<CommandResult> {
    if (i.range.from_gossip() && i.range.parent.number < 103) return ended(Outcome::source_reorged, "evicted");
    ours = network.fork(i.range.tip.number, 0, i.range.tip.number);
    return ended(Outcome::done, "");
  };
  gossip({102, 103, 104, 105, 106, 107, 108, 109, 110});
  EXPECT_THAT(taken(), IsEmpty());
  gossip({101});
  EXPECT_THAT(taken(), ElementsAre("gossip 100..110 safe - finalized -"));
  theirs.grow(106, 0);
  remote();
  EXPECT_THAT(taken(), ElementsAre("import 100..105 safe - finalized -", "gossip 105..110 safe - finalized -"));
}

TEST_F(FollowerTest, ASafeBlockBelowOurHeadIsLookedAtBeforeItsBranchIsFed) {
  for (const bool leaves : {false, true}) {
    SCOPED_TRACE(leaves);
    ours = theirs = network = Chain{100};
    safe = remote_safe = 90;
    with_gossip(true);
    both();
    taken();
    network.grow(152, 0);
    theirs.grow(150, 0);
    // Meanwhile the source derives, and gossip on top of the import arrives.
    on_import = [&](const Import& i) -> absl::StatusOr<CommandResult> {
      on_import = nullptr;
      ours = theirs;
      EXPECT_EQ(i.range.tip.number, 150U);
      if (leaves) theirs = theirs.fork(115, 1, 155);
      remote_safe = 130;
      remote();
      gossip({151, 152});
      return ended(Outcome::done, "");
    };
    remote();
    if (leaves) {
      EXPECT_THAT(taken(),
                  ElementsAre("import 100..150 safe - finalized -", "compare", "import 115..155 safe 130 finalized -"));
    } else {
      EXPECT_THAT(taken(),
                  ElementsAre("import 100..150 safe - finalized -", "compare", "gossip 150..152 safe 130 finalized -"));
    }
  }
}

TEST_F(FollowerTest, ABranchThatSafeHasLeftStaysSoWhileTheSourceIsAway) {
  with_gossip(true);
  both();
  network.grow(103, 0);
  gossip({101, 102, 103});
  theirs = theirs.fork(99, 1, 102);
  remote_safe = 101;
  remote_headers = absl::UnavailableError("503");
  remote();
  taken();
  play(follower().on_remote_lost({"no_heads", "gone"}, now));
  network.grow(104, 0);
  gossip({104});
  EXPECT_THAT(taken(), IsEmpty());
}

TEST_F(FollowerTest, GossipThatPassesBesideASafeBlockAboveOurHeadIsNotTaken) {
  with_gossip(true);
  both();
  taken();
  network.grow(110, 0);
  gossip({102, 103, 104, 105, 106});
  theirs = theirs.fork(100, 1, 100);
  on_import = [&](const Import&) { return ended(Outcome::source_unavailable); };
  theirs.grow(105, 1);
  remote_safe = 104;
  remote();
  taken();
  gossip({101});
  EXPECT_THAT(taken(), Not(Contains(HasSubstr("gossip"))));
}

TEST_F(FollowerTest, ALongerSignedBranchBesideASafeBlockAboveOurHeadIsNotTaken) {
  with_gossip(false);
  both();
  network.grow(101, 0);
  gossip({101});
  network = network.fork(100, 1, 106);
  theirs = theirs.fork(100, 2, 104);
  remote_safe = 103;
  on_import = [&](const Import&) { return ended(Outcome::source_unavailable); };
  remote();
  taken();
  gossip({101, 102, 103, 104, 105, 106});
  EXPECT_THAT(taken(), Not(Contains(HasSubstr("gossip"))));
}

TEST_F(FollowerTest, ASignedBranchIsTakenFromWhereItLeavesOurs) {
  with_gossip(false);
  remote_has_unsafe = false;
  both();
  network.grow(103, 0);
  gossip({101, 102, 103});
  taken();
  // 101 and 102 of this branch are already ours.
  network = network.fork(102, 1, 105);
  gossip({103, 104, 105});
  EXPECT_THAT(taken(), ElementsAre("gossip 102..105 safe 90 finalized -"));
}

TEST_F(FollowerTest, WhereASignedBranchLeavesOursIsAskedForIfItIsNotKnown) {
  // A source that led alone brought the EL onto a branch of its own. The other sequencer's blocks continue beside it.
  // Leftovers of an older branch are as high, and connect to nothing.
  remote_has_unsafe = false;
  network = network.fork(92, 1, 110);
  with_gossip(false);
  both();
  taken();
  const Chain living = network;
  network = network.fork(105, 2, 110);
  gossip({110});
  network = living;
  gossip({93, 94, 95, 96, 97, 98, 99, 100, 101});
  EXPECT_THAT(taken(), IsEmpty());
  gossip({102});
  EXPECT_THAT(taken(), ElementsAre("compare", "gossip 92..102 safe 90 finalized -"));
}

TEST_F(FollowerTest, ASignedBranchThatLeavesOursBelowAGapIsFetchedFromTheSource) {
  remote_has_unsafe = false;
  with_gossip(false);
  both();
  taken();
  network = network.fork(92, 1, 110);
  gossip({95, 96, 97, 98, 99, 100, 101, 102});
  EXPECT_THAT(taken(), ElementsAre("compare"));
  gossip({103});
  EXPECT_THAT(taken(), IsEmpty()) << "what was found out is not asked again, and the source has nothing";
  theirs = network;
  remote_has_unsafe = true;
  remote();
  EXPECT_THAT(taken(), ElementsAre("import 100..101 safe - finalized -", "compare",
                                   "import 92..101 safe 90 finalized -", "gossip 101..103 safe - finalized -"));
}

TEST_F(FollowerTest, WhatWasKnownOfABranchThatWasLeftCountsNoMore) {
  with_gossip(true);
  both();
  network.grow(105, 0);
  gossip({101, 102, 103, 104, 105});
  theirs = theirs.fork(95, 1, 120);
  remote();
  ASSERT_EQ(ours.at(120)->hash, theirs.at(120)->hash);
  taken();
  // The source returns to the first branch: a block that was once ours is no ancestor of our head now.
  theirs = network;
  now += absl::Seconds(20);
  remote();
  EXPECT_THAT(taken(), ElementsAre("compare", "import 95..105 safe 90 finalized -"));
}

TEST_F(FollowerTest, WhatWasAskedForOnABranchThatWasLeftCountsNoMore) {
  const Chain first{110};
  ours = Chain{120};
  theirs = first;
  both();
  EXPECT_THAT(taken(), ElementsAre("compare"));
  theirs = theirs.fork(95, 1, 130);
  remote();
  ASSERT_EQ(ours.at(130)->hash, theirs.at(130)->hash);
  taken();
  theirs = first;
  now += absl::Seconds(20);
  remote();
  EXPECT_THAT(taken(), ElementsAre("compare", "import 95..110 safe 90 finalized -"));
}

TEST_F(FollowerTest, ASourceThatReplaysDoesNotHoldUpGossip) {
  with_gossip(true);
  both();
  taken();
  auto s = snapshot();
  s.kind = contract::EndpointKind::cl;
  s.current_l1 = eth::BlockRef{};
  s.unsafe = theirs.at(50);
  s.safe = s.finalized = theirs.at(40);
  play(follower().on_remote(s, now));
  network.grow(101, 0);
  gossip({101});
  EXPECT_THAT(taken(), ElementsAre("gossip 100..101 safe - finalized -"));
}

TEST(GossipBlocks, KnowWhoStandsOnWhom) {
  GossipBlocks blocks;
  const Chain a{20}, b = a.fork(10, 1, 15);
  EXPECT_FALSE(blocks.highest());
  for (std::uint64_t n : {12U, 13U, 15U}) blocks.add(*a.at(n));
  EXPECT_FALSE(blocks.tip_above(a.at(10)->id()));
  EXPECT_EQ(blocks.tip_above(a.at(11)->id())->number, 13U);
  EXPECT_EQ(blocks.highest()->tip.number, 15U);
  EXPECT_EQ(blocks.highest()->lowest.number, 15U);
  blocks.add(*a.at(14));
  EXPECT_EQ(blocks.tip_above(a.at(11)->id())->number, 15U);
  EXPECT_EQ(blocks.highest()->lowest.number, 12U);
  for (std::uint64_t n : {11U, 12U, 13U, 14U, 15U}) blocks.add(*b.at(n));
  EXPECT_EQ(blocks.tip_above(a.at(10)->id())->hash, b.at(15)->hash);
  blocks.add(*a.at(11));
  EXPECT_EQ(blocks.tip_above(a.at(10)->id())->hash, a.at(15)->hash) << "of two as high the one that came first";
  ASSERT_EQ(blocks.chains().size(), 2U);
  EXPECT_EQ(blocks.chains()[0].tip.number, 15U);
  EXPECT_EQ(blocks.chains()[1].lowest.number, 11U);
  blocks.drop(a.at(13)->hash);
  EXPECT_EQ(blocks.tip_above(a.at(11)->id())->number, 12U);
  blocks.drop_up_to(14);
  EXPECT_EQ(blocks.size(), 1U);
  GossipBlocks many;
  const Chain c{3000};
  for (std::uint64_t n = 1; n <= 3000; ++n) many.add(*c.at(n));
  EXPECT_EQ(many.size(), GossipBlocks::kMaxBlocks);
  EXPECT_EQ(many.highest()->tip.number, 3000U);
}

TEST_F(FollowerTest, SwitchesOnUnsafeHeadsAloneComeLessAndLessOften) {
  both();
  const Chain first = theirs, second = theirs.fork(95, 1, 110);
  int switches = 0;
  const absl::Time begin = now;
  // A source that shows another branch each second.
  for (; now < begin + absl::Minutes(10); now += absl::Seconds(1)) {
    const Hash32 before = ours.at(96)->hash;
    theirs = theirs.has(first.at(96)->id()) ? second : first;
    theirs.grow(theirs.tip() + 20, theirs.at(96)->hash.bytes[8]);
    remote();
    switches += ours.at(96)->hash != before ? 1 : 0;
  }
  EXPECT_GE(switches, 3);
  EXPECT_LE(switches, 9) << "after 10, 20, 40, 80, 120, 120 .. s";
}

// ---------------------------------------------------------------- the vote of the sources

class VoteTest : public FollowerTest {
 protected:
  /// "a" leads with a head that no other source has; "b" of the same branch can lead after it.
  contract::HeadSnapshot invented() {
    contract::HeadSnapshot s = snapshot();
    s.unsafe = theirs.at(theirs.tip());
    s.unsafe->number += 7;
    s.unsafe->hash.bytes[9] = 1;
    s.others = {{"b", contract::EndpointKind::el, *theirs.at(theirs.tip())}};
    return s;
  }
  bool follows_b() { return follower().remote()->endpoint == "b"; }
};

TEST_F(VoteTest, WhoNamesAHeadThatNobodyHasLeadsNoMoreAndTheNextDoes) {
  theirs.grow(110, 0);
  local();
  on_import = [&](const Import& i) -> absl::StatusOr<CommandResult> {
    if (theirs.has(i.range.tip)) return import(i);
    return ended(Outcome::source_unavailable, "found nowhere");
  };
  play(follower().on_remote(invented(), now));
  EXPECT_TRUE(follows_b());
  EXPECT_THAT(taken(), Contains(HasSubstr("import 100..110")));
  EXPECT_THAT(actions(), Contains("demoted"));
  now += absl::Seconds(31);
  play(follower().on_remote(invented(), now));
  EXPECT_THAT(taken(), Contains(HasSubstr("import 110..117"))) << "it is tried again";
  EXPECT_TRUE(follows_b());
}

TEST_F(VoteTest, WhoNamesAnInvalidBlockLeadsNoMore) {
  theirs.grow(110, 0);
  local();
  on_import = [&](const Import& i) -> absl::StatusOr<CommandResult> {
    return theirs.has(i.range.tip) ? import(i) : ended(Outcome::invalid);
  };
  play(follower().on_remote(invented(), now));
  EXPECT_TRUE(follows_b());
  EXPECT_NE(follower().reason_code().text(), "invalid_block");
}

TEST_F(VoteTest, WhatTheElRefusesOfMostSourcesNeedsAnOperatorUntilItIsTaken) {
  theirs.grow(110, 0);
  local();
  on_import = [&](const Import&) { return ended(Outcome::invalid); };
  contract::HeadSnapshot s = snapshot();
  s.others = {{"b", contract::EndpointKind::el, *theirs.at(109)}};
  play(follower().on_remote(s, now));
  EXPECT_EQ(follower().state(), TowState::needs_operator);
  EXPECT_EQ(follower().reason_code().text(), "el_refuses_majority");
  for (int i = 0; i < 20 && wake(); ++i) EXPECT_EQ(follower().state(), TowState::needs_operator) << i;
  on_import = nullptr;
  now += absl::Minutes(2);
  play(follower().on_remote(s, now));
  for (int i = 0; i < 5 && wake(); ++i) play(follower().on_remote(s, now));
  EXPECT_EQ(ours.tip(), 110U) << "it was upgraded";
  EXPECT_EQ(follower().reason_code().text(), "at_tip");
}

TEST_F(VoteTest, WhereNobodyElseMayLeadItStays) {
  local();
  on_import = [&](const Import&) { return ended(Outcome::invalid); };
  contract::HeadSnapshot s = invented();
  s.others.clear();
  play(follower().on_remote(s, now));
  EXPECT_EQ(follower().remote()->endpoint, "a");
  EXPECT_EQ(follower().reason_code().text(), "invalid_block");
  EXPECT_THAT(actions(), Not(Contains("demoted")));
}

TEST_F(VoteTest, SafeOfTooFewIsTakenAlongAGossipedChainOnly) {
  with_gossip(true);
  remote_safe = 95;
  const auto quorum_lost = [&] {
    contract::HeadSnapshot s = snapshot();
    s.safe_hold = s.finalized_hold = contract::Hold::quorum_lost;
    s.finalized.reset();
    return s;
  };
  local();
  play(follower().on_remote(quorum_lost(), now));
  EXPECT_THAT(taken(), Not(Contains(HasSubstr("labels safe"))));
  network.grow(101, 0);
  theirs.grow(101, 0);
  gossip({101});
  play(follower().on_remote(quorum_lost(), now));
  EXPECT_EQ(safe, 95U);
  EXPECT_EQ(finalized, 80U);
  theirs.grow(110, 0);
  remote_safe = 105;
  play(follower().on_remote(quorum_lost(), now));
  EXPECT_EQ(ours.tip(), 110U);
  EXPECT_EQ(safe, 95U) << "the p2p network has named no block so high";
  now += absl::Seconds(31);
  remote_safe = 96;
  play(follower().on_remote(quorum_lost(), now));
  EXPECT_EQ(safe, 95U) << "the p2p network has been silent for too long";
}

TEST_F(VoteTest, BetweenTwoBranchesSignedGossipDecides) {
  with_gossip(true);
  groups = 2;
  agree = 1;
  const Chain honest{110}, forged = Chain{100}.fork(92, 1, 111);
  const auto disagree = [&] {
    contract::HeadSnapshot s = snapshot();
    s.safe_hold = s.finalized_hold = contract::Hold::sources_disagree;
    s.unsafe = forged.at(111);
    s.others = {{"b", contract::EndpointKind::el, *honest.at(110)}};
    return s;
  };
  // Before any gossip arrives, the first source of the list leads.
  ours = Chain{100}.fork(92, 1, 100);
  theirs = forged;
  local();
  play(follower().on_remote(disagree(), now));
  EXPECT_EQ(ours.at(111), forged.at(111));
  network = theirs = honest;
  gossip({109, 110});
  play(follower().on_remote(disagree(), now));
  EXPECT_TRUE(follows_b());
  EXPECT_EQ(ours.at(110), honest.at(110));
  // The other source is silent for a while. The first leads again, but leads nobody off the chain that gossip names.
  network.grow(111, 0);
  gossip({111});
  theirs = forged.fork(111, 1, 114);
  contract::HeadSnapshot s = disagree();
  s.unsafe = theirs.at(114);
  s.others.clear();
  now += absl::Seconds(15);
  play(follower().on_remote(s, now));
  for (int i = 0; i < 5 && wake(absl::Seconds(10)); ++i) play(follower().on_remote(s, now));
  EXPECT_EQ(ours.at(111), network.at(111));
  EXPECT_EQ(follower().reason_code().text(), "hold_branch");
}

TEST_F(VoteTest, ABranchThatLeavesOursBelowTheSafeBlockNeedsAMajority) {
  groups = 3;
  agree = 1;
  both();
  theirs = theirs.fork(85, 1, 110);
  on_import = [&](const Import& i) { return import(i); };
  remote();
  EXPECT_EQ(follower().reason_code().text(), "hold_branch");
  EXPECT_EQ(ours.tip(), 100U);
  agree = 2;
  for (int i = 0; i < 5 && wake(); ++i) remote();
  EXPECT_EQ(ours.at(110), theirs.at(110));
}

TEST_F(VoteTest, WhoAloneContradictsWhatIsFinalLeadsNoMore) {
  groups = 3;
  agree = 2;
  both();
  theirs = theirs.fork(75, 1, 110);
  remote_safe = remote_finalized = std::nullopt;
  contract::HeadSnapshot s = snapshot();
  s.others = {{"b", contract::EndpointKind::el, *theirs.at(110)}};
  play(follower().on_remote(s, now));
  EXPECT_THAT(actions(), Contains("demoted"));
  EXPECT_NE(follower().state(), TowState::diverged);
  EXPECT_EQ(follower().reason_code().text(), "source_other_branch") << "nor does the next one lead anywhere";
  s.contradicts_finalized = true;
  now += absl::Minutes(1);
  play(follower().on_remote(s, now));
  EXPECT_EQ(follower().state(), TowState::diverged) << "most contradict it";
}

TEST_F(VoteTest, WhoLedUsOffWhatMostCallSafeLeadsNoMore) {
  groups = 3;
  agree = 2;
  const Chain honest{120};
  ours = theirs = Chain{100}.fork(92, 1, 105);
  safe = 90;
  local();
  contract::HeadSnapshot s = snapshot();
  s.safe = honest.at(95);
  s.others = {{"b", contract::EndpointKind::el, *honest.at(120)}};
  refuse_labels = contract::Refusal::not_canonical;
  on_compare = [&] { theirs = honest; };
  play(follower().on_remote(s, now));
  EXPECT_THAT(actions(), Contains("demoted"));
  EXPECT_TRUE(follows_b());
}

TEST_F(VoteTest, WhoLedUsOffWhatMostHaveLeadsNoMore) {
  groups = 3;
  agree = 2;
  const Chain honest{110};
  ours = theirs = Chain{100}.fork(92, 1, 105);
  local();
  contract::HeadSnapshot s = snapshot();
  s.agreed = honest.at(98)->id();
  s.others = {{"b", contract::EndpointKind::el, *honest.at(110)}};
  on_compare = [&] {
    if (follows_b()) theirs = honest;
  };
  play(follower().on_remote(s, now));
  EXPECT_EQ(taken().front(), "compare") << "our block at that height is not known";
  EXPECT_TRUE(follows_b());
  EXPECT_EQ(ours.at(110), honest.at(110));
}

TEST_F(VoteTest, WhoIsKnownToHaveLedUsOffIsNotAskedOnceMore) {
  groups = 3;
  agree = 2;
  const Chain honest{110}, forged = Chain{100}.fork(92, 1, 105);
  for (std::uint64_t tip = 97; tip <= 105; ++tip) {  // each block of the branch was our head once
    ours = forged.fork(tip, 1, tip);
    local();
  }
  contract::HeadSnapshot s = snapshot();
  s.unsafe = forged.at(105);
  s.agreed = honest.at(98)->id();
  s.others = {{"b", contract::EndpointKind::el, *honest.at(110)}};
  theirs = honest;
  play(follower().on_remote(s, now));
  EXPECT_TRUE(follows_b());
  EXPECT_EQ(ours.at(110), honest.at(110));
}

TEST_F(VoteTest, WhoHasNotGotTheHeadThatItNamesLeadsNoMore) {
  both();
  contract::HeadSnapshot s = snapshot();
  s.unsafe = theirs.fork(90, 1, 98).at(98);
  s.others = {{"b", contract::EndpointKind::el, *theirs.at(100)}};
  play(follower().on_remote(s, now));
  EXPECT_TRUE(follows_b());
  EXPECT_EQ(follower().state(), TowState::at_tip);
}

TEST_F(VoteTest, WhoseHeadIsBelowWhatIsFinalLeadsNoMore) {
  both();
  contract::HeadSnapshot s = snapshot();
  s.unsafe = theirs.fork(50, 1, 60).at(60);
  s.safe = s.finalized = std::nullopt;
  s.others = {{"b", contract::EndpointKind::el, *theirs.at(100)}};
  play(follower().on_remote(s, now));
  EXPECT_TRUE(follows_b());
}

}  // namespace
}  // namespace towline::coordinator
