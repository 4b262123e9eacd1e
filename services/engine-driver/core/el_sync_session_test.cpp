// A sync of the EL's own: how it starts, and when it is over.
#include <gmock/gmock.h>

#include "services/engine-driver/core/session_fixture.hpp"

namespace towline::driver {
namespace {

using namespace driver::testing;
using contract::EngineStatus;
using contract::Outcome;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ElSyncTest : public SessionTest {
 protected:
  void give_peers() {
    el_.set_peers([](const Hash32& h) -> std::optional<eth::BlockRef> {
      for (std::uint64_t n = 0; n <= 2000; ++n)
        if (hash(n) == h) return ref(n);
      return std::nullopt;
    });
  }
};

TEST_F(ElSyncTest, ThePayloadGoesFirstAndTheUpdateHasNoLabels) {
  const auto r = el_sync(1000);
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->outcome, Outcome::missing_state) << r->reason;
  EXPECT_THAT(calls_,
              ElementsAre("open 999", "save 1", "labels", "next", "newPayload 1000", "forkchoice 1000", "labels"));
  EXPECT_EQ(state_.status, EngineStatus::syncing);
  ASSERT_TRUE(state_.el_sync);
  EXPECT_EQ(state_.el_sync->target, id(1000));
}

TEST_F(ElSyncTest, ItIsOverWhenTheElSaysValidAndItsHeadIsThere) {
  give_peers();
  ASSERT_EQ(el_sync(1000)->outcome, Outcome::missing_state);
  el_.sync(100);
  EXPECT_EQ(el_sync(1000)->outcome, Outcome::missing_state) << "its head has moved without us";
  el_.sync(1000);
  const auto r = el_sync(1000);
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->outcome, Outcome::done) << r->reason;
  EXPECT_THAT(writes(), ElementsAre("forkchoice 1000"));
  EXPECT_EQ(state_.status, EngineStatus::ready);
  EXPECT_FALSE(state_.el_sync);
  EXPECT_EQ(state_.labels.unsafe, ref(1000));
}

TEST_F(ElSyncTest, NoUpdateGoesToAnAncestorOfTheHead) {
  const auto r = el_sync(295);
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->outcome, Outcome::done) << r->reason;
  EXPECT_THAT(writes(), ElementsAre("forkchoice 300"));
  EXPECT_EQ(el_.latest(), ref(300));
}

TEST_F(ElSyncTest, NothingBelowOrBesideWhatIsFinalIsSyncedTo) {
  ASSERT_EQ(set_forkchoice(290, 285)->outcome, Outcome::done);
  const auto r = el_sync(284);
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->refusal, contract::Refusal::below_finalized);
  EXPECT_THAT(writes(), IsEmpty());
}

TEST_F(ElSyncTest, AChainOfItsPeersBesideWhatIsFinalIsFoundOut) {
  give_peers();
  ASSERT_EQ(set_forkchoice(290, 285)->outcome, Outcome::done);
  ASSERT_EQ(el_sync(1000)->outcome, Outcome::missing_state);
  el_.sync(1000);
  script_ = [](const std::string& call, CommandSession&) -> std::optional<Event> {
    if (call != "block 285") return std::nullopt;
    eth::BlockRef other = ref(285);
    other.hash.bytes[5] = 77;
    return ReadBlock::Answer{other};
  };
  const auto r = el_sync(1000);
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->outcome, Outcome::contradicts_finalized) << r->reason;
  EXPECT_EQ(state_.status, EngineStatus::contradicts_finalized);
  EXPECT_EQ(memory_.gate.state().confirmed_finalized, id(285));
}

TEST_F(ElSyncTest, AChainWithoutTheTargetIsNoneThatWasAskedFor) {
  give_peers();
  ASSERT_EQ(el_sync(1000)->outcome, Outcome::missing_state);
  el_.sync(1000);
  script_ = [this](const std::string& call, CommandSession&) -> std::optional<Event> {
    if (call != "block 1000" || writes().empty()) return std::nullopt;
    eth::BlockRef other = ref(1000);
    other.hash.bytes[5] = 77;
    return ReadBlock::Answer{other};
  };
  const auto r = el_sync(1000);
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->outcome, Outcome::not_applied) << "`refused` would mean that nothing was sent";
}

TEST_F(ElSyncTest, ValidIsNoProof) {
  once("forkchoice 1000", status(PayloadStatus::valid));
  const auto r = el_sync(1000);
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->outcome, Outcome::not_applied) << r->reason;
  EXPECT_FALSE(state_.el_sync);
}

TEST_F(ElSyncTest, ItIsOneTryAndSaysWhyItFailed) {
  struct Row {
    const char* call;
    Event answer;
    Outcome outcome;
  };
  const Row rows[] = {
      {"newPayload 1000", of(EngineAnswer::Kind::timeout), Outcome::engine_unavailable},
      {"newPayload 1000", of(EngineAnswer::Kind::error, -38005), Outcome::unsupported},
      {"forkchoice 1000", of(EngineAnswer::Kind::timeout), Outcome::engine_unavailable},
      {"next", NextPayload::Answer{absl::NotFoundError("no such block")}, Outcome::source_reorged},
      {"next", NextPayload::Answer{absl::UnavailableError("away")}, Outcome::source_unavailable},
      {"newPayload 1000", status(PayloadStatus::invalid), Outcome::invalid},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.call);
    once(row.call, row.answer);
    const auto r = el_sync(1000);
    ASSERT_TRUE(r.ok()) << r.status();
    EXPECT_EQ(r->outcome, row.outcome) << r->reason;
  }
  script_ = nullptr;
  EXPECT_EQ(el_sync(1000)->outcome, Outcome::invalid) << "it is quarantined";
  EXPECT_THAT(writes(), IsEmpty());
}

TEST_F(ElSyncTest, APayloadThatNeverComesIsNotWaitedForForEver) {
  script_ = [this](const std::string& call, CommandSession&) -> std::optional<Event> {
    if (call != "next") return std::nullopt;
    now_ += absl::Milliseconds(100);
    return NextPayload::Answer{std::nullopt};
  };
  EXPECT_EQ(el_sync(1000)->outcome, Outcome::source_unavailable);
}

TEST_F(ElSyncTest, AnImportTakesItsPlace) {
  ASSERT_EQ(el_sync(1000)->outcome, Outcome::missing_state);
  ASSERT_EQ(import(310)->outcome, Outcome::done);
  EXPECT_FALSE(state_.el_sync);
  EXPECT_EQ(state_.status, EngineStatus::ready);
}

}  // namespace
}  // namespace towline::driver
