// What ends an import, and the state that it leaves.
#include <gmock/gmock.h>

#include <algorithm>

#include "services/engine-driver/core/session_fixture.hpp"

namespace towline::driver {
namespace {

using namespace driver::testing;
using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

TEST_F(SessionTest, AnInvalidBlockIsKeptFromTheElForAWhile) {
  once("newPayload 305", status(PayloadStatus::invalid));
  auto r = import();
  EXPECT_EQ(r->outcome, contract::Outcome::invalid) << r->reason;
  EXPECT_EQ(r->block, id(305));
  EXPECT_EQ(el_.latest(), ref(304)) << "what was imported is the head";
  r = import();
  ASSERT_EQ(r->outcome, contract::Outcome::invalid) << r->reason;
  EXPECT_THAT(writes(), IsEmpty());
  now_ += absl::Seconds(30);
  r = import(306);
  EXPECT_EQ(r->outcome, contract::Outcome::done) << r->reason;
  // A restart may have healed the EL.
  once("newPayload 307", status(PayloadStatus::invalid));
  EXPECT_EQ(import()->outcome, contract::Outcome::invalid);
  ++state_.engine_session;
  EXPECT_EQ(import()->outcome, contract::Outcome::done);
}

TEST_F(SessionTest, ABranchLeavesOursAboveTheConfirmedFinalizedAtABlockThatTheElHas) {
  disk_ = {"test", 1, id(280)};
  memory_.gate = Gate{disk_};
  for (const auto& [parent, refusal] : {std::pair{eth::BlockId{295, hash(999)}, contract::Refusal::not_canonical},
                                        std::pair{id(279), contract::Refusal::below_finalized}}) {
    ImportSession session{options_, memory_, {"test", 1, hash(300)}, {parent, id(310), {}, {}}};
    const auto r = run(session);
    ASSERT_TRUE(r.ok()) << r.status();
    EXPECT_EQ(r->refusal, refusal) << r->reason;
    EXPECT_THAT(writes(), IsEmpty());
  }
}

TEST_F(SessionTest, ALabelOfAnotherBranchIsLeftOut) {
  safe_ = eth::BlockId{295, hash(999)};
  EXPECT_EQ(import()->outcome, contract::Outcome::done);
  EXPECT_THAT(writes(), Contains("forkchoice 310"));
  EXPECT_EQ(el_.safe(), ref(290));
}

TEST_F(SessionTest, AnElOffTheConfirmedFinalizedGetsNoFinalizedBlock) {
  disk_ = {"test", 1, eth::BlockId{100, hash(999)}};
  memory_.gate = Gate{disk_};
  finalized_ = safe_ = id(305);
  const auto r = import();
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->outcome, contract::Outcome::contradicts_finalized) << r->reason;
  EXPECT_EQ(state_.status, contract::EngineStatus::contradicts_finalized);
  EXPECT_EQ(el_.finalized(), ref(280));
  EXPECT_TRUE(absl::IsUnavailable(import(320).status())) << "nothing is written to it any more";
}

TEST_F(SessionTest, WhateverEndsAnImportWhatWasImportedIsTheHead) {
  struct Row {
    const char* name;
    const char* call;  // the call at which it happens
    Event answer;
    std::optional<Interrupt> interrupt;
    contract::Outcome outcome;
  };
  const Event payload_comes = Done{};
  const Row rows[] = {
      {"told to stop", "newPayload 305", payload_comes, Interrupt::stopping, contract::Outcome::cancelled},
      {"told to stop while it waits for a payload", "next", NextPayload::Answer{std::nullopt}, Interrupt::stopping,
       contract::Outcome::cancelled},
      {"told to stop while the EL is silent", "newPayload 305", of(EngineAnswer::Kind::timeout), Interrupt::stopping,
       contract::Outcome::cancelled},
      {"cancelled", "newPayload 305", payload_comes, Interrupt::cancelled, contract::Outcome::cancelled},
      {"the source is gone",
       "next",
       NextPayload::Answer{absl::InvalidArgumentError("no such block")},
       {},
       contract::Outcome::source_unavailable},
      {"the source has another branch",
       "next",
       NextPayload::Answer{absl::NotFoundError("not here")},
       {},
       contract::Outcome::source_reorged},
      {"SYNCING", "newPayload 305", status(PayloadStatus::syncing), {}, contract::Outcome::missing_state},
      {"unsupported", "newPayload 305", of(EngineAnswer::Kind::error, -38005), {}, contract::Outcome::unsupported},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const std::uint64_t head = el_.latest().number;
    const std::string call = absl::StrCat("newPayload ", head + 5);
    bool happened = false;
    script_ = [&](const std::string& c, CommandSession& session) -> std::optional<Event> {
      const bool is_it = absl::StartsWith(row.call, "next") ? c == "next" && next_ == head + 5 : c == call;
      if (happened || !is_it) return std::nullopt;
      happened = true;
      if (row.interrupt) session.interrupt(*row.interrupt);
      return std::holds_alternative<Done>(row.answer) ? std::nullopt : std::optional{row.answer};
    };
    finalized_ = safe_ = id(head + 2);
    const auto r = import(head + 10);
    ASSERT_TRUE(r.ok()) << r.status();
    EXPECT_EQ(r->outcome, row.outcome) << r->reason;
    const std::uint64_t imported = std::holds_alternative<Done>(row.answer) ? head + 5 : head + 4;
    EXPECT_EQ(el_.latest(), ref(imported));
    EXPECT_EQ(r->labels.unsafe, ref(imported));
    EXPECT_EQ(disk_.confirmed_finalized, id(head + 2)) << "and what is final by it is on disk";
    EXPECT_FALSE(state_.import);
  }
}

TEST_F(SessionTest, LabelsThatTheGateRefusesHoldTheHeadNotBack) {
  disk_ = {"test", 1, id(280)};
  memory_.gate = Gate{disk_};
  safe_ = id(270);
  script_ = [](const std::string& c, CommandSession& session) -> std::optional<Event> {
    if (c == "newPayload 305") session.interrupt(Interrupt::stopping);
    return std::nullopt;
  };
  const auto r = import();
  EXPECT_EQ(r->outcome, contract::Outcome::cancelled) << r->reason;
  EXPECT_EQ(el_.latest(), ref(305));
  EXPECT_EQ(el_.safe(), ref(290));
}

TEST_F(SessionTest, AStreamThatBreaksIsOpenedAgainBehindTheLastBlock) {
  const Event broke = NextPayload::Answer{absl::UnavailableError("the source is down")};
  int left = 3;
  script_ = [&](const std::string& c, CommandSession&) -> std::optional<Event> {
    return c == "next" && next_ == 305 && left-- > 0 ? std::optional{broke} : std::nullopt;
  };
  EXPECT_EQ(import()->outcome, contract::Outcome::done);
  EXPECT_THAT(calls_, Contains("open 304").Times(3));
  // Payloads that p2p-gossip does not serve at once come from the remote nodes.
  origin_ = contract::PayloadOrigin::gossip;
  once("next", broke);
  EXPECT_EQ(import(320)->outcome, contract::Outcome::source_unavailable);
  EXPECT_THAT(calls_, Contains(StartsWith("open")).Times(1));
  origin_ = contract::PayloadOrigin::remote;
  script_ = [&](const std::string& c, CommandSession&) -> std::optional<Event> {
    return c == "next" ? std::optional{broke} : std::nullopt;
  };
  EXPECT_EQ(import(320)->outcome, contract::Outcome::source_unavailable);
  EXPECT_THAT(calls_, Contains(StartsWith("open")).Times(6));
}

TEST_F(SessionTest, WhatAnotherLifeOfTheElCallsInvalidIsNotSentToItAgain) {
  script_ = [&](const std::string& c, CommandSession&) -> std::optional<Event> {
    if (c == "newPayload 303") ++state_.engine_session;
    return c == "newPayload 305" ? std::optional<Event>{status(PayloadStatus::invalid)} : std::nullopt;
  };
  EXPECT_EQ(import(310)->outcome, contract::Outcome::invalid);
  EXPECT_THAT(calls_, Contains("newPayload 305"));
  calls_.clear();
  EXPECT_EQ(import(310)->outcome, contract::Outcome::invalid);
  EXPECT_THAT(calls_, Not(Contains("newPayload 305")));
}

TEST_F(SessionTest, AnOpGethThatStandsIsLedThroughTwinsAndNothingElseIs) {
  struct Row {
    const char* name;
    const char* client;
    bool twins, has_block_above, moved;
    bool led;
  };
  for (const Row& row : {Row{"a killed op-geth", "Geth/v1", true, true, false, true},
                         Row{"op-reth", "op-reth/v1", true, true, false, false},
                         Row{"--engine.twins off", "Geth/v1", false, true, false, false},
                         Row{"it has no block above its head", "Geth/v1", true, false, false, false},
                         Row{"it has moved before", "Geth/v1", true, true, true, false}}) {
    SCOPED_TRACE(row.name);
    state_.client_version = row.client;
    options_.twins = row.twins;
    memory_ = Memory{Gate{disk_}, MinAge{}};
    memory_.session = state_.engine_session;
    memory_.moves = row.moved;
    bool led = false;
    script_ = [&](const std::string& c, CommandSession&) -> std::optional<Event> {
      if (c == "block 301") return ReadBlock::Answer{row.has_block_above ? std::optional{ref(301)} : std::nullopt};
      if (absl::StartsWith(c, "twin on")) {
        return BuildTwin::Answer{
            absl::StrCat(R"({"executionPayload":{"blockHash":"0x)", std::string(62, '0'), "aa", R"("}})")};
      }
      // VALID, but the head stays until a twin was made the head.
      if (absl::StartsWith(c, "newPayload")) return status(PayloadStatus::valid);
      if (absl::StartsWith(c, "forkchoice")) return status(PayloadStatus::valid);
      if (c != "labels") return std::nullopt;
      led = led || (calls_.size() > 2 && calls_[calls_.size() - 3] == "forkchoice 301" &&
                    calls_[calls_.size() - 2] == "forkchoice 301");
      return ReadLabels::Answer{contract::Labels{led ? ref(301) : ref(300), ref(290), ref(280)}};
    };
    const absl::Time began = now_;
    next_ = 0;
    ImportSession session{options_, memory_, {"test", 1, hash(300)}, {id(300), id(301), {}, {}}};
    const auto r = run(session);
    ASSERT_TRUE(r.ok()) << r.status();
    EXPECT_EQ(r->outcome, row.led ? contract::Outcome::done : contract::Outcome::not_applied) << r->reason;
    if (row.led) {
      EXPECT_THAT(calls_, Contains("twin on 300").Times(1));
      EXPECT_GE(now_ - began, TwinNeed::kStands);
    } else {
      EXPECT_THAT(calls_, Not(Contains("twin on 300")));
    }
  }
  EXPECT_EQ(count(Counter::twins), 1);
}

}  // namespace
}  // namespace towline::driver
