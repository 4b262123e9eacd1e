// What all sessions do (admission, repetition, reading back), and the commands that move labels or the head back.
#include <gmock/gmock.h>

#include <algorithm>

#include "services/engine-driver/core/session_fixture.hpp"

namespace towline::driver {
namespace {

using namespace driver::testing;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST_F(SessionTest, TheTermIsOnDiskBeforeAnythingIsSent) {
  ASSERT_TRUE(import(302).ok());
  EXPECT_THAT(calls_, ElementsAre("open 300", "save 1", "labels", "next", "newPayload 301", "next", "newPayload 302",
                                  "forkchoice 302", "labels"));
  disk_status_ = absl::UnavailableError("no space left");
  const auto r = import(304, 2);
  EXPECT_TRUE(absl::IsUnavailable(r.status())) << r.status();
  EXPECT_THAT(writes(), IsEmpty());
  EXPECT_EQ(state_.status, contract::EngineStatus::state_not_saved);
  EXPECT_EQ(state_.term, 1U) << "it does not count";
  EXPECT_EQ(memory_.gate.state().term, 1U);
}

TEST_F(SessionTest, AFinalizedBlockIsOnDiskBeforeItIsTold) {
  finalized_ = safe_ = id(305);
  const auto r = import(310);
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(disk_.confirmed_finalized, id(305));
  EXPECT_EQ(state_.confirmed_finalized, id(305));
  finalized_ = safe_ = id(315);
  script_ = [this](const std::string& call, CommandSession&) -> std::optional<Event> {
    if (call == "save 1") disk_status_ = absl::UnavailableError("no space left");
    return std::nullopt;
  };
  const auto full = import(320);
  ASSERT_TRUE(full.ok()) << full.status();
  EXPECT_EQ(full->outcome, contract::Outcome::engine_unavailable) << full->reason;
  EXPECT_EQ(state_.confirmed_finalized, id(305));
  EXPECT_EQ(memory_.gate.state().confirmed_finalized, id(305)) << "what is not on disk does not count";
  EXPECT_EQ(state_.status, contract::EngineStatus::state_not_saved);
}

TEST_F(SessionTest, AWriteWithoutAnAnswerIsSentAgainAfterTheLabelsWereRead) {
  for (const EngineAnswer& nothing :
       {of(EngineAnswer::Kind::timeout), of(EngineAnswer::Kind::transport), of(EngineAnswer::Kind::malformed),
        of(EngineAnswer::Kind::error, -32000), of(EngineAnswer::Kind::http, 503)}) {
    SCOPED_TRACE(describe(nothing));
    const std::string next = absl::StrCat("newPayload ", el_.latest().number + 1);
    once(next, nothing);
    const auto r = import(el_.latest().number + 1);
    ASSERT_TRUE(r.ok()) << r.status();
    EXPECT_EQ(r->outcome, contract::Outcome::done) << r->reason;
    const auto sent = std::find(calls_.begin(), calls_.end(), next);
    EXPECT_THAT(std::vector<std::string>(sent, sent + 4), ElementsAre(next, "wait 50ms", "labels", next));
  }
  EXPECT_EQ(count(Counter::retries), 5);
}

TEST_F(SessionTest, AfterHalfAMinuteWithoutAnAnswerTheCommandEnds) {
  script_ = [](const std::string& call, CommandSession&) -> std::optional<Event> {
    return call == "newPayload 305" ? std::optional<Event>{of(EngineAnswer::Kind::timeout)} : std::nullopt;
  };
  const absl::Time began = now_;
  const auto r = import();
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->outcome, contract::Outcome::engine_unavailable) << r->reason;
  EXPECT_GT(now_ - began, absl::Seconds(25));
  EXPECT_LE(now_ - began, absl::Seconds(30));
  EXPECT_THAT(calls_, Contains("wait 2s"));
  EXPECT_THAT(calls_, Not(Contains("wait 4s")));
  EXPECT_EQ(el_.latest(), ref(304)) << "what was imported is the head";
}

TEST_F(SessionTest, AnUpdateThatWasAppliedIsNotSentAgain) {
  script_ = [this](const std::string& call, CommandSession&) -> std::optional<Event> {
    if (call != "forkchoice 310") return std::nullopt;
    el_.forkchoice_updated(hash(310), {}, {});
    return of(EngineAnswer::Kind::timeout);
  };
  const auto r = import();
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->outcome, contract::Outcome::done) << r->reason;
  EXPECT_THAT(writes(), Contains("forkchoice 310").Times(1));
}

TEST_F(SessionTest, NothingIsWrittenToAnElThatCameBackAsAnotherOne) {
  script_ = [this](const std::string& call, CommandSession&) -> std::optional<Event> {
    if (call != "newPayload 305") return std::nullopt;
    el_ = sim::ElModel{sim::ElProfile::op_reth, ref(0)};
    return of(EngineAnswer::Kind::transport);
  };
  const auto r = import();
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->outcome, contract::Outcome::engine_unavailable) << r->reason;
  EXPECT_THAT(r->reason, HasSubstr("came back"));
  EXPECT_EQ(state_.engine_session, 1U);
  EXPECT_EQ(writes().back(), "newPayload 305");
}

TEST_F(SessionTest, TheLabelsAreReadAfterASilence) {
  script_ = [this](const std::string& call, CommandSession&) -> std::optional<Event> {
    if (call == "next" && next_ == 305) now_ += options_.restart_takes;
    return std::nullopt;
  };
  ASSERT_TRUE(import().ok());
  const auto sent = std::find(calls_.begin(), calls_.end(), "newPayload 305");
  ASSERT_NE(sent, calls_.end());
  EXPECT_EQ(*(sent - 1), "labels");
  EXPECT_EQ(*(sent - 2), "next");
  EXPECT_EQ(*(sent + 1), "next");
}

TEST_F(SessionTest, ValidIsNoProof) {
  // The labels lag.
  int looks = 0;
  script_ = [&](const std::string& call, CommandSession&) -> std::optional<Event> {
    if (call != "labels" || el_.latest().number != 310 || ++looks == 3) return std::nullopt;
    return ReadLabels::Answer{contract::Labels{ref(300), ref(290), ref(280)}};
  };
  auto r = import(310);
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->outcome, contract::Outcome::done) << r->reason;
  EXPECT_THAT(calls_, Contains("wait 100ms").Times(2));
  // The update was not applied.
  const auto before = el_.latest();
  script_ = [&](const std::string& call, CommandSession&) -> std::optional<Event> {
    return absl::StartsWith(call, "forkchoice") ? std::optional<Event>{status(PayloadStatus::valid)} : std::nullopt;
  };
  r = import(320);
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->outcome, contract::Outcome::not_applied) << r->reason;
  EXPECT_EQ(r->labels.unsafe, before);
}

TEST_F(SessionTest, LabelsOnlyOfTheElsOwnChain) {
  EXPECT_EQ(set_forkchoice(295, 285)->outcome, contract::Outcome::done);
  EXPECT_EQ(el_.safe(), ref(295));
  EXPECT_EQ(disk_.confirmed_finalized, id(285));
  ForkchoiceSession beside{options_, memory_, {"test", 1, hash(300)}, {id(300), eth::BlockId{296, hash(999)}, {}}};
  EXPECT_EQ(run(beside)->refusal, contract::Refusal::not_canonical);
  EXPECT_EQ(set_forkchoice(290, 284)->refusal, contract::Refusal::below_finalized);
  ForkchoiceSession stale{options_, memory_, {"test", 1, hash(299)}, {id(299), {}, {}}};
  const auto r = run(stale);
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->refusal, contract::Refusal::head_moved);
  EXPECT_THAT(writes(), IsEmpty());
}

TEST_F(SessionTest, ARewindNeedsTheAdminRpcAndStaysAboveTheConfirmedFinalized) {
  EXPECT_EQ(rewind(295)->refusal, contract::Refusal::cannot_rewind);
  options_.can_rewind = true;
  EXPECT_EQ(rewind(295)->outcome, contract::Outcome::not_applied) << "op-reth has no such method";
  disk_ = {"test", 1, id(280)};
  memory_.gate = Gate{disk_};
  EXPECT_EQ(rewind(270)->refusal, contract::Refusal::below_finalized);
  EXPECT_THAT(writes(), IsEmpty());
  // The answer is lost; the labels show the outcome.
  for (const auto& [lost, applied] : {std::pair{absl::DeadlineExceededError("no answer"), true},
                                      std::pair{absl::DeadlineExceededError("no answer"), false},
                                      std::pair{absl::CancelledError("the process stops"), true}}) {
    script_ = [&, said = lost, applied = applied](const std::string& c, CommandSession&) -> std::optional<Event> {
      if (c == "setHead 295") return absl::Status{said};
      const bool after = c == "labels" && std::find(calls_.begin(), calls_.end(), "setHead 295") != calls_.end();
      return after && applied ? std::optional<Event>{ReadLabels::Answer{contract::Labels{ref(295), {}, {}}}}
                              : std::nullopt;
    };
    EXPECT_EQ(rewind(295)->outcome, applied ? contract::Outcome::done : contract::Outcome::not_applied);
  }
}

/// Whether a command reads the labels before its first write.
class LookedTest : public SessionTest {
 protected:
  void look() { memory_.labels_read({el_.latest(), el_.safe(), el_.finalized()}, now_, now_); }
  bool reads() {
    const std::uint64_t tip = el_.latest().number + 1;
    EXPECT_EQ(import(tip)->outcome, contract::Outcome::done);
    const auto write = std::find(calls_.begin(), calls_.end(), absl::StrCat("newPayload ", tip));
    EXPECT_NE(write, calls_.end());
    return std::find(calls_.begin(), write, "labels") != write;
  }
};

TEST_F(LookedTest, TheNextCommandNeedsNoLookOfItsOwn) {
  look();
  EXPECT_FALSE(reads());
}

TEST_F(LookedTest, LabelsThatACommandReadBackCountForTheNextOne) {
  EXPECT_TRUE(reads());
  EXPECT_FALSE(reads());
  now_ += options_.restart_takes;
  EXPECT_TRUE(reads()) << "too old";
}

TEST_F(LookedTest, AWriteVoidsTheLook) {
  look();
  script_ = [](const std::string& c, CommandSession&) -> std::optional<Event> {
    if (!absl::StartsWith(c, "newPayload")) return std::nullopt;
    EngineAnswer a;
    a.kind = EngineAnswer::Kind::status;
    a.status = PayloadStatus::invalid;
    return a;
  };
  EXPECT_EQ(import(el_.latest().number + 1)->outcome, contract::Outcome::invalid);
  script_ = nullptr;
  memory_.quarantine.clear();
  EXPECT_TRUE(reads());
}

TEST_F(LookedTest, TheLookIsTooOldOnceTheElMayHaveBeenRestarted) {
  look();
  now_ += options_.restart_takes - absl::Milliseconds(1);
  EXPECT_FALSE(reads());
  look();
  now_ += options_.restart_takes;
  const eth::BlockRef next = ref(el_.latest().number + 1);
  el_.new_payload(next);
  el_.forkchoice_updated(next.hash, {}, {});
  EXPECT_TRUE(reads()) << "the command is about the EL as it is now";
}

TEST_F(LookedTest, ANewEngineSessionVoidsTheLook) {
  look();
  ++state_.engine_session;
  EXPECT_TRUE(reads());
}

TEST_F(LookedTest, ACommandForAnotherHeadIsRefusedAsAlways) {
  look();
  ImportSession session{options_, memory_, {"test", 1, hash(299)}, {id(299), id(301), {}, {}}};
  const auto r = run(session);
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->refusal, contract::Refusal::head_moved);
  EXPECT_THAT(writes(), IsEmpty());
}

}  // namespace
}  // namespace towline::driver
