// Which way an EL takes to a head that is far, for how long, and what is reported.
#include "services/sync-coordinator/core/sync_start.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace towline::coordinator {
namespace {

using ::testing::HasSubstr;

eth::BlockRef block(std::uint64_t n) {
  eth::BlockRef b{n, {}, {}, 1000 + 2 * n};
  for (unsigned i = 0; i < 8; ++i) b.hash.bytes[i] = static_cast<std::uint8_t>(n >> (8U * i));
  b.hash.bytes[31] = 1;
  return b;
}

class SyncStartTest : public ::testing::Test {
 protected:
  /// An EL at `head`, and a source at `goal` whose safe block is 10 lower.
  void at(std::uint64_t head, std::uint64_t goal) {
    facts.head = block(head);
    facts.empty = head == 0;
    facts.goal = block(goal);
    facts.target = goal > 10 ? std::optional{block(goal - 10)} : std::nullopt;
  }
  void named(StartMode m) { start.emplace(SyncStart::Options{m, absl::Seconds(60)}); }
  /// Returns "follow", or "begin 990" or "rest" with the reason code of the status.
  std::string choose() {
    notes.clear();
    const SyncStart::Way way = start->choose(facts, notes, now);
    for (const Note& n : notes) told.push_back(std::string{text(n.action)} + " " + n.reason);
    if (const auto* b = std::get_if<SyncStart::Begin>(&way)) {
      said = b->status;
      return "begin " + std::to_string(b->target.number) + " " + std::string{said.code.text()};
    }
    if (const auto* r = std::get_if<SyncStart::Rest>(&way)) {
      said = r->status;
      return "rest " + std::string{said.code.text()};
    }
    return "follow";
  }
  /// The EL reports progress of its own sync.
  void moves(std::uint64_t current) {
    if (!facts.el_sync) facts.el_sync.emplace();
    facts.el_sync->current = current;
    facts.el_sync->highest = facts.goal.number;
    ++facts.el_sync->steps;
  }
  void pass(int seconds) { now += absl::Seconds(seconds); }

  StartFacts facts;
  std::optional<SyncStart> start{SyncStart{}};
  std::vector<Note> notes;
  std::vector<std::string> told;
  Status said;
  absl::Time now = absl::FromUnixSeconds(1'700'000'000);
};

TEST_F(SyncStartTest, TheWayByGapModeAndPeers) {
  using enum StartMode;
  struct Row {
    StartMode mode;
    std::uint64_t head, gap;
    std::optional<std::uint32_t> peers;
    const char* what;
    const char* way;
  };
  const Row rows[] = {
      {automatic, 1000, 0, {}, "follow", ""},
      {automatic, 1000, 64, 9, "follow", ""},
      {automatic, 0, 5'000, {}, "follow", "import"},
      {automatic, 0, 10'000, 9, "follow", "import"},
      {automatic, 0, 10'001, 9, "begin", "elsync"},
      {automatic, 70'000, 10'001, 9, "begin", "elsync"},
      {automatic, 0, 10'001, 0, "follow", "import"},
      {automatic, 0, 500'000, {}, "follow", "import"},
      {automatic, 0, 500'001, {}, "begin", "elsync"},
      {automatic, 0, 500'001, 0, "begin", "elsync"},
      {snapshot, 0, 5'000, 9, "rest waiting_for_snapshot", "snapshot"},
      {snapshot, 0, 0, 9, "rest waiting_for_snapshot", "snapshot"},
      {snapshot, 1, 5'000, {}, "follow", "import"},
      {snapshot, 1, 500'001, {}, "begin", "elsync"},
      {elsync, 1000, 64, 9, "follow", ""},
      {elsync, 1000, 74, 9, "follow", "import"},  // the safe block is 64 above the head
      {elsync, 1000, 75, {}, "begin", "elsync"},
      {elsync, 0, 5'000, 0, "begin", "elsync"},
      {import, 0, 5'000, 9, "follow", "import"},
      {import, 0, 9'000'000, 9, "follow", "import"},
  };
  for (const Row& r : rows) {
    SCOPED_TRACE(std::string{name(r.mode)} + " " + std::to_string(r.gap));
    named(r.mode);
    facts = {};
    at(r.head, r.head + r.gap);
    facts.peers = r.peers;
    EXPECT_THAT(choose(), ::testing::StartsWith(r.what));
    EXPECT_EQ(start->way(), r.way);
    EXPECT_EQ(start->reason().empty(), start->way().empty());
    EXPECT_EQ(start_mode_of(name(r.mode)), r.mode);
  }
  EXPECT_EQ(start_mode_of("snap"), std::nullopt);
}

TEST_F(SyncStartTest, WithoutABlockThatAQuorumAgreesOnNoSyncIsBegun) {
  named(StartMode::elsync);
  at(0, 5'000);
  facts.target.reset();
  EXPECT_EQ(choose(), "rest no_target");
  named(StartMode::automatic);
  EXPECT_EQ(choose(), "follow") << "blocks are proven one by one";
  at(0, 600'000);
  facts.target.reset();
  EXPECT_EQ(choose(), "rest no_target");
}

TEST_F(SyncStartTest, ItIsCommandedAgainWithNewerTargetsAndEndsWithValid) {
  named(StartMode::elsync);
  at(0, 1'000);
  facts.peers = 2;
  EXPECT_EQ(choose(), "begin 990 el_syncing");
  EXPECT_EQ(said.state, TowState::el_syncing);
  EXPECT_EQ(choose(), "rest el_syncing");
  pass(5);
  moves(400);
  EXPECT_EQ(choose(), "rest el_syncing");
  EXPECT_THAT(said.reason, HasSubstr("at block 400 of 1000, it has 2 peer(s)"));
  EXPECT_THAT(said.reason, HasSubstr("--sync-start=elsync"));
  pass(5);
  at(600, 1'010);
  EXPECT_EQ(choose(), "begin 1000 el_syncing");
  at(1'000, 1'030);
  EXPECT_EQ(choose(), "rest el_syncing") << "near, but VALID was not said";
  pass(1);
  EXPECT_EQ(choose(), "begin 1000 el_syncing") << "it has arrived: asked whether it is done, and not for more";
  ASSERT_TRUE(start->on_synced(facts.head.id()));
  EXPECT_EQ(choose(), "follow");
  EXPECT_EQ(start->way(), "");
  EXPECT_FALSE(start->on_synced(facts.head.id())) << "told once";
  EXPECT_THAT(told, ::testing::ElementsAre(HasSubstr("sync_start elsync: 1000 blocks")));
}

TEST_F(SyncStartTest, OneThatStandsStillIsGivenUpForAnImport) {
  named(StartMode::elsync);
  at(0, 1'000);
  facts.peers = 0;
  choose();
  pass(61);
  EXPECT_EQ(choose(), "follow");
  EXPECT_EQ(start->way(), "import");
  EXPECT_THAT(start->reason(), HasSubstr("it has no peers"));
  EXPECT_THAT(told.back(), HasSubstr("sync_start import: the EL does not sync by itself (it has no peers)"));
  // Progress by the import is not progress of the sync.
  for (const std::uint64_t head : {100U, 500U, 900U}) {
    at(head, 1'000);
    pass(10);
    EXPECT_EQ(choose(), "follow");
  }
  at(990, 1'000);
  EXPECT_EQ(choose(), "follow");
  EXPECT_EQ(start->way(), "") << "over";
}

TEST_F(SyncStartTest, OneThatMovesIsNotGivenUp) {
  named(StartMode::elsync);
  at(0, 1'000);
  choose();
  for (std::uint64_t i = 1; i < 20; ++i) {
    pass(50);
    moves(i);
    choose();
    EXPECT_EQ(said.code, Code{ReasonCode::el_syncing});
  }
  for (std::uint64_t i = 1; i < 5; ++i) {
    pass(50);
    at(100 * i, 1'000);  // a full sync moves the head
    choose();
    EXPECT_EQ(said.code, Code{ReasonCode::el_syncing});
  }
}

TEST_F(SyncStartTest, TooManyBlocksAreNotImportedUnasked) {
  at(0, 600'000);
  EXPECT_EQ(choose(), "begin 599990 el_syncing");
  pass(61);
  EXPECT_EQ(choose(), "rest el_sync_stalled");
  EXPECT_EQ(said.state, TowState::needs_operator);
  EXPECT_THAT(said.reason, HasSubstr("--sync-start=import"));
  pass(30);
  EXPECT_EQ(choose(), "begin 599990 el_sync_stalled") << "peers may have come";
  pass(5);
  moves(12);
  EXPECT_EQ(choose(), "rest el_syncing") << "it heals by itself";
}

TEST_F(SyncStartTest, AnEmptyElThatExecutesNothingIsToSyncByItself) {
  at(0, 5'000);
  facts.client = "go-ethereum/0.1.0-untagged";  // the name of op-geth on the Engine API
  facts.session = 3;
  EXPECT_EQ(choose(), "follow");
  EXPECT_TRUE(start->on_not_executed(3));
  EXPECT_FALSE(start->on_not_executed(3)) << "known";
  EXPECT_EQ(choose(), "begin 4990 el_syncing");
  EXPECT_EQ(start->way(), "elsync");
  pass(61);
  EXPECT_EQ(choose(), "rest el_sync_stalled");
  EXPECT_THAT(said.reason, HasSubstr("restart op-geth with --syncmode=full"));
  facts.session = 4;  // the EL was restarted
  EXPECT_EQ(choose(), "follow");
  EXPECT_EQ(start->way(), "import");
}

TEST_F(SyncStartTest, AnElThatExecutesNothingIsTriedAgainBeforeEachCommand) {
  at(0, 5'000);
  choose();
  start->on_not_executed(0);
  EXPECT_EQ(choose(), "begin 4990 el_syncing");
  pass(61);
  EXPECT_EQ(choose(), "rest el_sync_stalled");
  for (int i = 0; i < 3; ++i) {
    pass(29);
    EXPECT_EQ(choose(), "rest el_sync_stalled");
    EXPECT_FALSE(start->tries());
    pass(1);
    EXPECT_EQ(choose(), "follow");
    EXPECT_TRUE(start->tries());
    EXPECT_TRUE(start->on_not_executed(0));
    EXPECT_EQ(choose(), "begin 4990 el_sync_stalled");
    EXPECT_FALSE(start->on_not_executed(0)) << "that was no attempt";
  }
  pass(30);
  EXPECT_EQ(choose(), "follow");
  EXPECT_EQ(choose(), "begin 4990 el_sync_stalled") << "no block was to be had";
  pass(30);
  EXPECT_EQ(choose(), "follow");
  at(700, 5'000);  // this time it executed them
  EXPECT_EQ(choose(), "follow");
  EXPECT_EQ(start->way(), "import");
  EXPECT_EQ(told.size(), 4U) << "import, elsync, el_sync_stalled, import; the attempts are not told";
}

TEST_F(SyncStartTest, WhereImportIsNamedNothingElseIsDone) {
  named(StartMode::import);
  at(0, 900'000);
  facts.peers = 9;
  EXPECT_EQ(choose(), "follow");
  EXPECT_FALSE(start->on_not_executed(1));
  EXPECT_EQ(choose(), "follow");
}

TEST_F(SyncStartTest, ASyncThatAnEarlierProcessBeganGoesOn) {
  at(300, 5'000);
  facts.el_sync = contract::ElSync{block(4'000).id(), 300, 4'000, 7};
  EXPECT_EQ(choose(), "begin 4990 el_syncing");
  facts.el_sync->target.reset();
  start.emplace();
  EXPECT_EQ(choose(), "follow") << "what it does for another reason is not ours";
}

}  // namespace
}  // namespace towline::coordinator
