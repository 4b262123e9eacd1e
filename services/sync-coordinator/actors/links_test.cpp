// The links between the services, in virtual time with fake clients.
#include "services/sync-coordinator/actors/links.hpp"

#include <gmock/gmock.h>

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/actor_fixture.hpp"

namespace towline::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

eth::BlockId id(std::uint64_t n) {
  eth::BlockId b{n, {}};
  b.hash.bytes[0] = static_cast<std::uint8_t>(n);
  return b;
}

class FakeDriver final : public DriverClient {
 public:
  void canonical_blocks(const std::vector<std::uint64_t>&, Done<std::vector<eth::BlockRef>>) override {}
  void import(const Import&, Done<contract::CommandResult>) override {}
  void set_forkchoice(const SetForkchoice&, Done<contract::CommandResult>) override {}
  void rewind(const Rewind&, Done<contract::CommandResult>) override {}
  void start_el_sync(const StartElSync&, Done<contract::CommandResult>) override {}
  void watch(std::function<void(const contract::EngineState&)> on_state, OnEnd on_end) override {
    ++opened;
    state = std::move(on_state);
    end = std::move(on_end);
  }
  int opened = 0;
  std::function<void(const contract::EngineState&)> state;
  OnEnd end;
};

class FakeFetcher final : public FetcherClient {
 public:
  void headers(const std::vector<std::uint64_t>&, const std::string&, Done<std::vector<eth::BlockRef>>) override {}
  void sources(Done<std::vector<Witness::OtherHead>> done) override {
    ++asked_for_sources;
    done(std::vector<Witness::OtherHead>{});
  }
  std::function<void()> watch(const std::optional<eth::BlockId>& confirmed_finalized, HeadEvents e) override {
    opened.push_back(confirmed_finalized ? confirmed_finalized->number : 0);
    events = std::move(e);
    return [this] { ++closed; };
  }
  std::vector<std::uint64_t> opened;
  int closed = 0, asked_for_sources = 0;
  HeadEvents events;
};

class LinksTest : public towline::testing::ActorTest {
 protected:
  LinksTest() {
    tow_ = own(system.spawn([this](tow_actor::pointer) -> tow_actor::behavior_type {
      const auto saw = [this](std::string what) { seen_.push_back(std::move(what)); };
      return {[=](remote_atom, const SnapshotPtr&) { saw("head"); },
              [=](remote_atom, lost_atom, const TroublePtr& t) { saw("no head: " + t->code); },
              [=](local_atom, const StatePtr&) { saw("state"); },
              [=](local_atom, lost_atom, const std::string&) { saw("no driver"); },
              [](pause_atom, const std::string&) {},
              [](resume_atom) {},
              [=](gossip_atom, const BlockPtr&) { saw("block"); },
              [=](gossip_atom, lost_atom) { saw("no blocks"); },
              [=](remote_atom, const SourcesPtr&) { saw("sources"); },
              [](stop_atom) {}};
    }));
    heads_ = own(system.spawn(head_link, &fetcher_, *tow_, absl::Seconds(30)));
    link_ = own(system.spawn(driver_link, "driver:1", &driver_, *tow_, *heads_));
    dispatch();
  }
  std::vector<std::string> seen() {
    dispatch();
    return std::exchange(seen_, {});
  }
  void driver_says(std::optional<std::uint64_t> confirmed_finalized, std::optional<std::uint64_t> label = {}) {
    contract::EngineState s;
    if (label) s.labels.finalized = eth::BlockRef{*label, id(*label).hash, {}, *label};
    if (confirmed_finalized) s.confirmed_finalized = id(*confirmed_finalized);
    driver_.state(s);
    dispatch();
  }
  void head(std::uint64_t n) {
    contract::HeadSnapshot s;
    s.unsafe = eth::BlockRef{n, id(n).hash, {}, n};
    fetcher_.events.on_snapshot(s);
    dispatch();
  }

  FakeDriver driver_;
  FakeFetcher fetcher_;
  std::optional<tow_actor> tow_;
  std::optional<head_link_actor> heads_;
  std::optional<link_actor> link_;
  std::vector<std::string> seen_;
};

TEST_F(LinksTest, ADriverThatIsLostIsWatchedAgainAfterAPause) {
  driver_says(7);
  driver_.end(absl::UnavailableError("gone"));
  EXPECT_THAT(seen(), ElementsAre("state", "no driver"));
  EXPECT_EQ(driver_.opened, 1);
  advance(std::chrono::milliseconds{310});
  EXPECT_EQ(driver_.opened, 2);
}

TEST_F(LinksTest, HeadsAreSeenFromTheConfirmedFinalizedBlockAndAnewWhenItIsTakenBack) {
  driver_says(100);
  driver_says(110);
  EXPECT_THAT(fetcher_.opened, ElementsAre(0)) << "a higher one can wait";
  fetcher_.events.on_end(absl::UnavailableError("gone"));
  EXPECT_THAT(seen(), ElementsAre("state", "state", "no head: no_heads"));
  advance(std::chrono::milliseconds{310});
  EXPECT_THAT(fetcher_.opened, ElementsAre(0, 110));
  driver_says(90);
  EXPECT_THAT(fetcher_.opened, ElementsAre(0, 110, 90)) << "at once";
  EXPECT_EQ(fetcher_.closed, 1);
}

// Lowered by an operator, who still has to bring the EL back: the sources are compared where they contradict the EL.
TEST_F(LinksTest, HeadsAreSeenFromTheElsFinalizedLabelWhereItIsHigher) {
  driver_says(100, 110);
  fetcher_.events.on_end(absl::UnavailableError("gone"));
  advance(std::chrono::milliseconds{310});
  EXPECT_THAT(fetcher_.opened, ElementsAre(0, 110));
  driver_says(90, 110);
  EXPECT_THAT(fetcher_.opened, ElementsAre(0, 110));
  driver_says(90, 90);
  EXPECT_THAT(fetcher_.opened, ElementsAre(0, 110, 90));
}

TEST_F(LinksTest, WhatAStreamThatIsOverSaysMeansNothing) {
  driver_says(100);
  fetcher_.events.on_end(absl::UnavailableError("gone"));
  advance(std::chrono::milliseconds{310});
  const FetcherClient::HeadEvents old = fetcher_.events;
  driver_says(90);
  seen();
  old.on_end(absl::CancelledError("closed"));
  old.on_trouble({"old", "old"});
  EXPECT_THAT(seen(), IsEmpty());
}

TEST_F(LinksTest, AWatchThatWasOpenForItsWholeTimeIsNoLoss) {
  head(5);
  fetcher_.events.on_end(absl::DeadlineExceededError("over"));
  EXPECT_THAT(seen(), ElementsAre("head"));
  EXPECT_EQ(fetcher_.opened.size(), 2U);
  fetcher_.events.on_end(absl::DeadlineExceededError("over"));
  EXPECT_THAT(seen(), ElementsAre("no head: no_heads")) << "it never spoke: the service hangs";
}

TEST_F(LinksTest, AfterAStopNothingIsOpened) {
  caf::anon_send(*heads_, stop_atom{});
  caf::anon_send(*link_, stop_atom{});
  dispatch();
  driver_.end(absl::CancelledError("stop"));
  fetcher_.events.on_end(absl::CancelledError("stop"));
  advance(std::chrono::seconds{2});
  EXPECT_EQ(driver_.opened, 1);
  EXPECT_EQ(fetcher_.opened.size(), 1U);
  EXPECT_THAT(seen(), IsEmpty());
}

}  // namespace
}  // namespace towline::coordinator
