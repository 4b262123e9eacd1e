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
  /// A look as it was planned at this moment.
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
  // A write that begins during a look says nothing about it.
  for (std::uint64_t n = 311; n <= 320; ++n) {
    const Look l = at(n);
    view.on(HeadMoves{std::nullopt});
    look(l);
  }
  EXPECT_EQ(status(), EngineStatus::ready);
}

}  // namespace
}  // namespace towline::driver
