// The table of reported readiness.
#include "services/sync-coordinator/core/readiness.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace towline::coordinator {
namespace {

using contract::EngineStatus;

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);
const Limits kLimits{5, absl::Seconds(30), absl::Hours(6)};

/// Everything is in order.
Facts at_tip() {
  Facts f;
  f.state = TowState::at_tip;
  f.code = ReasonCode::at_tip;
  f.distance = 0;
  f.engine = EngineStatus::ready;
  f.driver_heard = kNow - absl::Seconds(1);
  f.labels_set = f.source_labels_set = true;
  f.safe_moved = f.finalized_moved = kNow - absl::Hours(1);
  f.source_head = 100;
  f.source_heard = kNow - absl::Seconds(1);
  f.source_moved = kNow - absl::Seconds(2);
  f.highest_elsewhere = 100;
  f.sources_at_head = 2;
  f.gossip = true;
  return f;
}

struct Case {
  const char* what;
  std::function<void(Facts&)> change;
  TowState state;
  std::string code;
  bool ready = false;
};

TEST(TowReadiness, TheTable) {
  const auto still = [](Facts& f) { f.source_moved = kNow - absl::Seconds(31); };
  const std::vector<Case> table{
      {"all is well", [](Facts&) {}, TowState::at_tip, "at_tip", true},
      {"the EL does not answer", [](Facts& f) { f.engine = EngineStatus::unreachable; }, TowState::waiting_for_engine,
       "engine_unreachable"},
      {"the same while the follower waits for an import",
       [](Facts& f) {
         f.state = TowState::importing;
         f.engine = EngineStatus::unreachable;
       },
       TowState::waiting_for_engine, "engine_unreachable"},
      {"another secret", [](Facts& f) { f.engine = EngineStatus::auth_failed; }, TowState::waiting_for_engine,
       "engine_auth_failed"},
      {"another chain", [](Facts& f) { f.engine = EngineStatus::wrong_chain; }, TowState::needs_operator,
       "engine_wrong_chain"},
      {"SYNCING", [](Facts& f) { f.engine = EngineStatus::syncing; }, TowState::waiting_for_engine, "engine_not_valid"},
      {"INVALID", [](Facts& f) { f.engine = EngineStatus::invalid; }, TowState::waiting_for_engine, "engine_not_valid"},
      {"the driver is stopped", [](Facts& f) { f.driver_heard = kNow - absl::Seconds(11); },
       TowState::waiting_for_engine, "driver_unreachable"},
      {"the driver is lost while a command of ours has no answer", [](Facts& f) { f.engine.reset(); },
       TowState::waiting_for_engine, "driver_unreachable"},
      {"our own disk is full", [](Facts& f) { f.engine = EngineStatus::state_not_saved; }, TowState::needs_operator,
       "state_not_saved"},
      {"no Engine API", [](Facts& f) { f.engine = EngineStatus::not_an_engine; }, TowState::needs_operator,
       "engine_is_ordinary_rpc"},
      {"another consensus client", [](Facts& f) { f.engine = EngineStatus::driven_elsewhere; },
       TowState::needs_operator, "engine_driven_elsewhere"},
      {"another database", [](Facts& f) { f.engine = EngineStatus::contradicts_finalized; }, TowState::diverged,
       "engine_contradicts_finalized"},
      {"the fetcher is stopped", [](Facts& f) { f.source_heard = kNow - absl::Seconds(31); },
       TowState::waiting_for_source, "source_silent"},
      {"the same in a catch-up",
       [](Facts& f) {
         f.state = TowState::importing;
         f.source_heard = kNow - absl::Seconds(31);
       },
       TowState::waiting_for_source, "source_silent"},
      {"no source, gossip alone",
       [](Facts& f) {
         f.source_head.reset();
         f.code = ReasonCode::gossip_only;
       },
       TowState::waiting_for_source, "gossip_only"},
      {"no source, and the follower waits for the EL", [](Facts& f) { f.source_head.reset(); },
       TowState::waiting_for_source, "no_heads"},
      {"the EL has no labels", [](Facts& f) { f.labels_set = false; }, TowState::waiting_for_engine, "labels_unset"},
      {"nor has the source", [](Facts& f) { f.labels_set = f.source_labels_set = false; }, TowState::waiting_for_source,
       "labels_unset"},
      {"how far, nobody knows", [](Facts& f) { f.distance.reset(); }, TowState::waiting_for_source, "no_target"},
      {"5 behind", [](Facts& f) { f.distance = 5; }, TowState::at_tip, "at_tip", true},
      {"6 behind", [](Facts& f) { f.distance = 6; }, TowState::importing, "behind"},
      {"the head stood still for 30 s", [](Facts& f) { f.source_moved = kNow - absl::Seconds(30); }, TowState::at_tip,
       "at_tip", true},
      {"for 31 s, and everybody agrees", still, TowState::waiting_for_source, "chain_halted", true},
      {"the same without p2p in the stack",
       [&](Facts& f) {
         still(f);
         f.gossip.reset();
       },
       TowState::waiting_for_source, "chain_halted", true},
      {"somebody is ahead",
       [&](Facts& f) {
         still(f);
         f.highest_elsewhere = 101;
       },
       TowState::waiting_for_source, "source_stale"},
      {"one source alone",
       [&](Facts& f) {
         still(f);
         f.sources_at_head = 1;
       },
       TowState::waiting_for_source, "source_stale"},
      {"the sources disagree", [](Facts& f) { f.hold = contract::Hold::sources_disagree; }, TowState::at_tip,
       "sources_disagree", true},
      {"the same without gossip",
       [](Facts& f) {
         f.hold = contract::Hold::sources_disagree;
         f.gossip = false;
       },
       TowState::waiting_for_source, "sources_disagree"},
      {"too few groups are heard, and labels stand for it",
       [](Facts& f) {
         f.hold = contract::Hold::quorum_lost;
         f.safe_moved = f.finalized_moved = kNow - absl::Hours(7);
       },
       TowState::at_tip, "quorum_lost", true},
      {"p2p-gossip is away",
       [&](Facts& f) {
         still(f);
         f.gossip = false;
       },
       TowState::waiting_for_source, "source_stale"},
      {"labels wait", [](Facts& f) { f.labels_wait = kNow - absl::Seconds(30); }, TowState::at_tip, "at_tip", true},
      {"labels wait in vain", [](Facts& f) { f.labels_wait = kNow - absl::Seconds(31); }, TowState::waiting_for_engine,
       "labels_stuck"},
      {"safe stands still", [](Facts& f) { f.safe_moved = kNow - absl::Hours(7); }, TowState::waiting_for_source,
       "safe_stalled"},
      {"finalized stands still", [](Facts& f) { f.finalized_moved = kNow - absl::Hours(7); },
       TowState::waiting_for_source, "finalized_stalled"},
      {"paused, whatever else",
       [](Facts& f) {
         f.state = TowState::paused;
         f.code = ReasonCode::paused;
         f.engine = EngineStatus::unreachable;
       },
       TowState::paused, "paused"},
      {"another coordinator",
       [](Facts& f) {
         f.state = TowState::waiting_for_engine;
         f.code = ReasonCode::superseded;
       },
       TowState::waiting_for_engine, "superseded"},
      {"diverged",
       [](Facts& f) {
         f.state = TowState::diverged;
         f.code = ReasonCode::diverged;
       },
       TowState::diverged, "diverged"},
      {"the driver was never there",
       [](Facts& f) {
         f.engine.reset();
         f.state = TowState::waiting_for_engine;
         f.code = ReasonCode::driver_unreachable;
       },
       TowState::waiting_for_engine, "driver_unreachable"},
  };
  for (const Case& c : table) {
    Facts f = at_tip();
    c.change(f);
    const TowReadiness v = readiness_of(f, kLimits, kNow);
    EXPECT_EQ(v.state, c.state) << c.what << ": " << name(v.state);
    EXPECT_EQ(v.code.text(), c.code) << c.what;
    EXPECT_EQ(v.ready, c.ready) << c.what;
    EXPECT_TRUE(v.state != TowState::at_tip || v.ready) << c.what;
  }
}

/// The witness, with a follower at the tip of block 100.
class WitnessTest : public ::testing::Test {
 protected:
  static eth::BlockRef block(std::uint64_t n) {
    eth::BlockRef b{n, {}, {}, 1000 + 2 * n};
    b.hash.bytes[0] = static_cast<std::uint8_t>(n);
    b.hash.bytes[31] = 1;
    return b;
  }
  WitnessTest() : follower{Follower::Options{.genesis = block(0).id()}} {
    driver.status = EngineStatus::ready;
    driver.labels = {block(100), block(90), block(80)};
    snapshot.unsafe = block(100);
    snapshot.safe = block(90);
    snapshot.finalized = block(80);
    snapshot.observed = kNow;
  }
  void local() {
    witness.on_local(driver, now);
    follower.on_local(driver, now);
  }
  void remote() {
    witness.on_remote(snapshot, now);
    follower.on_remote(snapshot, now);
  }
  std::string code() { return std::string{readiness_of(witness.facts(follower, now), kLimits, now).code.text()}; }

  absl::Time now = kNow;
  Follower follower;
  Witness witness{false};
  contract::EngineState driver;
  contract::HeadSnapshot snapshot;
};

TEST_F(WitnessTest, ASourceThatIsHeardOfAndDoesNotMove) {
  local();
  remote();
  EXPECT_EQ(code(), "at_tip");
  now += absl::Seconds(31);
  snapshot.observed = now;
  local();
  remote();
  EXPECT_EQ(code(), "source_stale");
  witness.on_sources({{100, block(100).hash}, {100, block(100).hash}});
  EXPECT_EQ(code(), "chain_halted");
  witness.on_sources({{100, block(100).hash}, {102, block(102).hash}});
  EXPECT_EQ(code(), "source_stale");
}

TEST_F(WitnessTest, TheSameLookAtTheSourceIsNoNews) {
  local();
  remote();
  now += absl::Seconds(31);
  local();
  remote();
  EXPECT_EQ(code(), "source_silent");
}

TEST_F(WitnessTest, LabelsThatStayBelowTheSources) {
  snapshot.safe = block(95);
  local();
  remote();
  for (std::uint64_t s = 0; s <= 31; ++s) {
    EXPECT_EQ(code(), s <= 30 ? "at_tip" : "labels_stuck") << s;
    now += absl::Seconds(1);
    snapshot.observed = now;
    snapshot.unsafe = block(101 + s);
    witness.on_local(driver, now);
    witness.on_remote(snapshot, now);
  }
  driver.labels.safe = block(92);
  witness.on_local(driver, now);
  EXPECT_EQ(code(), "at_tip");
}

TEST_F(WitnessTest, ADriverThatSaysNothing) {
  local();
  remote();
  now += absl::Seconds(11);
  EXPECT_EQ(code(), "driver_unreachable");
}

}  // namespace
}  // namespace towline::coordinator
