#include "services/engine-driver/core/engine_view.hpp"

#include <gtest/gtest.h>

namespace towline::driver {
namespace {

using contract::EngineStatus;
using News = EngineView::News;

Hash32 hash(std::uint64_t n, std::uint8_t branch = 0) {
  Hash32 h;
  h.bytes[0] = branch;
  h.bytes[31] = static_cast<std::uint8_t>(n);
  h.bytes[30] = static_cast<std::uint8_t>(n >> 8U);
  return h;
}
eth::BlockRef ref(std::uint64_t n, std::uint8_t branch = 0) {
  return {n, hash(n, branch), hash(n - 1, branch), 1000 + n};
}
const absl::Time kNow = absl::FromUnixSeconds(10'000);

class EngineViewTest : public ::testing::Test {
 protected:
  /// A look as planned now.
  Look at(std::uint64_t head) const {
    Look l;
    l.plan = view.plan();
    l.labels = contract::Labels{ref(head), ref(head - 10), ref(head - 20)};
    l.client_version = "Geth/v1";
    return l;
  }
  Look failing(EngineStatus status) const {
    Look l;
    l.plan = view.plan();
    l.failure.emplace(status, absl::UnavailableError("no"));
    return l;
  }
  News look(const Look& l) { return view.on_look(l, now += absl::Milliseconds(500)); }
  EngineStatus status() const { return view.state().status; }

  absl::Time now = kNow;
  EngineView view{contract::EngineState{}, kNow};
};

TEST_F(EngineViewTest, AnElIsMetAndThenLookedAt) {
  EXPECT_TRUE(view.plan().identify);
  EXPECT_EQ(look(at(300)), News::met);
  EXPECT_EQ(status(), EngineStatus::ready);
  EXPECT_EQ(view.state().client_version, "Geth/v1");
  EXPECT_EQ(view.state().engine_session, 1U);
  EXPECT_FALSE(view.plan().identify);
  EXPECT_EQ(look(at(301)), News::none);
  EXPECT_EQ(view.state().engine_session, 1U) << "it is the same life";
}

TEST_F(EngineViewTest, AnElThatWasLostIsIdentifiedAnew) {
  look(at(300));
  EXPECT_EQ(look(failing(EngineStatus::unreachable)), News::lost);
  EXPECT_EQ(look(failing(EngineStatus::unreachable)), News::none) << "it is said once";
  EXPECT_EQ(view.state().labels.unsafe, ref(300)) << "what it showed last stays";
  EXPECT_TRUE(view.plan().identify);
  EXPECT_EQ(look(at(250)), News::met);
  EXPECT_EQ(view.state().engine_session, 2U);
}

TEST_F(EngineViewTest, AnotherChainOrAnotherSecretIsNoLostEl) {
  for (const auto s : {EngineStatus::wrong_chain, EngineStatus::auth_failed, EngineStatus::not_an_engine}) {
    EXPECT_EQ(look(failing(s)), News::lost);
    EXPECT_EQ(status(), s);
  }
}

TEST_F(EngineViewTest, AHeadThatWentBackIsAnotherLifeOfTheEl) {
  look(at(300));
  look(at(200));
  EXPECT_EQ(view.state().engine_session, 2U);
  StateChange import;
  import.progress = contract::ImportProgress{};
  view.on(import);
  look(at(150));
  EXPECT_EQ(view.state().engine_session, 2U) << "an import of ours may take it to a lower branch";
}

TEST_F(EngineViewTest, ALookThatAWriteOvertookTellsNoHead) {
  look(at(300));
  const Look before = at(300);
  view.on(HeadMoves{hash(310)});
  view.on(StateChange{.labels = contract::Labels{ref(310), ref(300), ref(290)}});
  view.on(HeadMoves{});
  look(before);
  EXPECT_EQ(view.state().labels.unsafe, ref(310));
  EXPECT_EQ(view.state().engine_session, 1U) << "the EL did not go back";
  look(at(300));
  EXPECT_EQ(view.state().labels.unsafe, ref(300));
  EXPECT_EQ(view.state().engine_session, 2U);
}

TEST_F(EngineViewTest, WhatAWriteFoundOutStaysUntilTheElIsAnother) {
  look(at(300));
  for (const auto s : {EngineStatus::syncing, EngineStatus::invalid}) {
    StateChange c;
    c.status = StateChange::Status{s, "as the write says"};
    view.on(c);
    look(at(300));
    EXPECT_EQ(status(), s);
  }
  look(at(200));
  EXPECT_EQ(status(), EngineStatus::ready);
}

TEST_F(EngineViewTest, WhatACommandFindsOutDuringALookStays) {
  look(at(300));
  const Look begun_before = at(301);
  StateChange c;
  c.status = StateChange::Status{EngineStatus::state_not_saved, "disk full"};
  view.on(c);
  look(begun_before);
  EXPECT_EQ(status(), EngineStatus::state_not_saved);
  EXPECT_TRUE(view.plan().try_disk);
  look(at(301));
  EXPECT_EQ(status(), EngineStatus::ready) << "the disk was tried";
}

TEST_F(EngineViewTest, WhoContradictsTheConfirmedFinalizedBlockIsShownAndLookedAtEachTime) {
  contract::EngineState first;
  first.confirmed_finalized = eth::BlockId{280, hash(280, 9)};
  view = EngineView{first, kNow};
  Look l = at(300);
  l.failure.emplace(EngineStatus::contradicts_finalized, absl::FailedPreconditionError("another block"));
  EXPECT_EQ(look(l), News::lost);
  EXPECT_EQ(status(), EngineStatus::contradicts_finalized);
  EXPECT_EQ(view.state().labels.unsafe, ref(300));
  EXPECT_TRUE(view.plan().compare);
}

TEST_F(EngineViewTest, AHeadThatMovesWithoutUsIsDrivenElsewhere) {
  look(at(300));
  for (std::uint64_t n = 301; n <= 304; ++n) look(at(n));
  EXPECT_EQ(status(), EngineStatus::driven_elsewhere);
  EXPECT_EQ(view.state().labels.unsafe, ref(304));
}

TEST_F(EngineViewTest, AHeadThatMovesWithOurWritesIsOurs) {
  look(at(300));
  for (std::uint64_t n = 301; n <= 310; ++n) {
    view.on(HeadMoves{hash(n)});
    look(at(n));
  }
  // A write that begins during a look makes the look say nothing about the head.
  for (std::uint64_t n = 311; n <= 320; ++n) {
    const Look l = at(n);
    view.on(HeadMoves{std::nullopt});
    look(l);
  }
  EXPECT_EQ(status(), EngineStatus::ready);
}

TEST_F(EngineViewTest, ASyncOfItsOwnIsWatchedAndMovesTheHead) {
  look(at(300));
  EXPECT_FALSE(view.plan().syncing);
  view.on(StateChange{.status = {{EngineStatus::syncing, "it syncs"}}, .el_sync_to = ref(900).id()});
  EXPECT_TRUE(view.plan().syncing);
  const auto told = [&](std::uint64_t head, const char* json) {
    Look l = at(head);
    simdjson::dom::parser parser;
    l.syncing = el_syncing_from(parser.parse(std::string{json}));
    look(l);
  };
  told(300, R"({"currentBlock":"0x0","highestBlock":"0x0"})");
  for (std::uint64_t n = 1; n <= 5; ++n)
    told(300 + 50 * n, n % 2 == 0 ? R"({"currentBlock":"0x15e","highestBlock":"0x384","syncedAccounts":"0x1"})"
                                  : R"({"currentBlock":"0x15e","highestBlock":"0x384"})");
  EXPECT_EQ(status(), EngineStatus::syncing) << "nobody else drives it";
  ASSERT_TRUE(view.state().el_sync);
  EXPECT_EQ(*view.state().el_sync, (contract::ElSync{ref(900).id(), 0x15e, 0x384, 6}));
  told(600, "false");
  EXPECT_TRUE(view.state().el_sync) << "op-geth says false before it begins, too";
  told(900, "false");
  EXPECT_FALSE(view.state().el_sync) << "it is there";
}

TEST_F(EngineViewTest, ASyncThatIsOlderThanThisProcessIsSeen) {
  Look l = at(300);
  l.syncing = ElSyncing{true, 300, 5000, "x"};
  l.peers = 3;
  look(l);
  ASSERT_TRUE(view.state().el_sync);
  EXPECT_FALSE(view.state().el_sync->target);
  EXPECT_EQ(view.state().el_peers, 3U);
  l = at(400);
  l.syncing = ElSyncing{};
  look(l);
  EXPECT_FALSE(view.state().el_sync);
}

TEST_F(EngineViewTest, AnElThatIsMerelyStartingDoesNotSync) {
  Look l = at(300);
  l.syncing = ElSyncing{true, 0, 0, "x"};
  look(l);
  EXPECT_FALSE(view.state().el_sync);
  EXPECT_FALSE(view.plan().syncing);
}

TEST(ElSyncing, WhatTheClientsTell) {
  simdjson::dom::parser parser;
  const auto from = [&](const std::string& json) { return el_syncing_from(parser.parse(json)); };
  EXPECT_FALSE(from("false").syncing);
  EXPECT_FALSE(from("null").syncing);
  EXPECT_FALSE(from("[]").syncing);
  EXPECT_TRUE(from("{}").syncing);
  const ElSyncing geth = from(
      R"({"currentBlock":"0xca","healedTrienodes":"0x0","highestBlock":"0x253","startingBlock":"0x0","syncedAccounts":"0x45"})");
  EXPECT_EQ(geth.current, 202U);
  EXPECT_EQ(geth.highest, 595U);
  const ElSyncing reth = from(
      R"({"startingBlock":"0x0","currentBlock":"0x10","highestBlock":"0x20","stages":[{"name":"Headers","block":"0x20"}]})");
  EXPECT_EQ(reth.highest, 32U);
  EXPECT_NE(reth.told, geth.told);
  EXPECT_EQ(from(R"({"currentBlock":17,"highestBlock":"zz"})").current, 0U) << "no quantity";
}

TEST_F(EngineViewTest, ALookComesShortlyBeforeTheNextBlockWhateverTheRhythmWasBefore) {
  for (const auto block_time : {absl::Milliseconds(500), absl::Seconds(1), absl::Seconds(2)}) {
    for (auto first = absl::ZeroDuration(); first < absl::Milliseconds(500); first += absl::Milliseconds(37)) {
      EngineView v{contract::EngineState{}, kNow};
      absl::Time block = kNow + block_time, looked = kNow + first;
      absl::Duration age;
      while (block < kNow + absl::Seconds(8)) {
        absl::Time next = looked + v.next_look(looked);
        EXPECT_GE(next - looked, absl::Milliseconds(250));
        EXPECT_LT(next - looked, absl::Milliseconds(750));
        for (; block <= next; block += block_time) {
          age = block - looked;
          v.on(Commanded{}, block, true);
        }
        looked = next;
      }
      EXPECT_EQ(age, absl::Milliseconds(125)) << block_time << " " << first;
    }
  }
}

TEST_F(EngineViewTest, CommandsForLabelsDoNotChangeTheRhythm) {
  view.on(Commanded{}, kNow + absl::Milliseconds(300), false);
  EXPECT_EQ(view.next_look(kNow), absl::Milliseconds(375));
  EXPECT_EQ(view.commanded(), kNow + absl::Milliseconds(300));
}

}  // namespace
}  // namespace towline::driver
