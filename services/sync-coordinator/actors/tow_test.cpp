// A tow, and the calls that it makes for the effects of its follower. Decisions and their times are tested in core/.
#include "services/sync-coordinator/actors/tow.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <filesystem>

#include "libs/actor_kit/actor_fixture.hpp"
#include "libs/base/steady_time.hpp"
#include "services/sync-coordinator/actors/decision_file.hpp"

namespace towline::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

eth::BlockRef block(std::uint64_t n) {
  eth::BlockRef b{n, {}, {}, 1000 + n};
  for (unsigned i = 0; i < 8; ++i) b.hash.bytes[i] = static_cast<std::uint8_t>(n >> (8U * i));
  b.hash.bytes[31] = 1;
  return b;
}

class FakeDriver final : public DriverClient {
 public:
  void canonical_blocks(const std::vector<std::uint64_t>&, Done<std::vector<eth::BlockRef>>) override {}
  void import(const Import& e, Done<contract::CommandResult>) override { imported.push_back(e.range.tip.number); }
  void set_forkchoice(const SetForkchoice&, Done<contract::CommandResult>) override {}
  void rewind(const Rewind&, Done<contract::CommandResult>) override {}
  void start_el_sync(const StartElSync& e, Done<contract::CommandResult> done) override {
    started.push_back(e.start.target.number);
    answer = std::move(done);
  }
  void watch(std::function<void(const contract::EngineState&)>, OnEnd) override {}
  std::vector<std::uint64_t> imported, started;
  Done<contract::CommandResult> answer;
};

class FakeFetcher final : public FetcherClient {
 public:
  void headers(const std::vector<std::uint64_t>&, const std::string&, Done<std::vector<eth::BlockRef>>) override {}
  void sources(Done<std::vector<Witness::OtherHead>>) override {}
  std::function<void()> watch(const std::optional<eth::BlockId>&, HeadEvents) override {
    return [] {};
  }
};

class TowTest : public towline::testing::ActorTest {
 protected:
  void begin(SyncStart::Options start, const std::string& decisions_file = "") {
    Follower::Options o;
    o.genesis = block(0).id();
    o.start = start;
    tow_ = own(system.spawn(
        tow,
        TowConfig{0, "driver:1", o, Limits{}, false, &driver_, &fetcher_, hub_, &metrics_,
                  decisions_file.empty() ? nullptr : std::make_shared<KeptFile>(decisions_file, "decisions", store_)}));
    dispatch();
    contract::HeadSnapshot s;
    s.endpoint = "a";
    s.unsafe = block(1000);
    s.safe = block(990);
    s.finalized = block(980);
    s.groups = s.agree = 1;
    s.observed = steady_now();
    caf::anon_send(*tow_, remote_atom{}, std::make_shared<const contract::HeadSnapshot>(s));
    dispatch();
  }
  void el_at(std::uint64_t head) {
    contract::EngineState s;
    s.status = contract::EngineStatus::ready;
    s.engine_session = 1;
    s.labels.unsafe = block(head);
    s.el_peers = 2;
    caf::anon_send(*tow_, local_atom{}, std::make_shared<const contract::EngineState>(s));
    dispatch();
  }
  void ends(contract::Outcome o, std::uint64_t head) {
    driver_.answer(contract::CommandResult{o, "", {}, {block(head), {}, {}}, {}});
    dispatch();
  }
  TowView view() {
    dispatch();
    return *latest_.get()->views.at(0);
  }

  Metrics metrics_;
  FakeDriver driver_;
  FakeFetcher fetcher_;
  Published<SyncStatus> latest_{SyncStatus{}};
  status_hub_actor hub_ = own(system.spawn(status_hub, &latest_));
  file_store_actor store_ = own(system.spawn(file_store));
  std::optional<tow_actor> tow_;
};

TEST_F(TowTest, DecisionsAreOnDiskWhenTheTowAndThenTheStoreEnd) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/tow-", getpid(), "/decisions.json");
  begin({}, path);
  caf::anon_send(*tow_, pause_atom{}, std::string{"an operator"});
  dispatch();
  EXPECT_TRUE(load_decisions(path)->empty()) << "not at each decision";
  // In the order of Terminator; the store has not handled the tow's last message when it is told to end.
  caf::anon_send_exit(*tow_, caf::exit_reason::user_shutdown);
  caf::anon_send_exit(store_, caf::exit_reason::user_shutdown);
  dispatch();
  const auto kept = load_decisions(path);
  ASSERT_TRUE(kept.ok()) << kept.status();
  ASSERT_FALSE(kept->empty());
  EXPECT_THAT(kept->back().reason, ::testing::HasSubstr("an operator"));
  std::filesystem::remove_all(std::filesystem::path{path}.parent_path());
}

TEST_F(TowTest, AnElIsToldToSyncByItselfAndTheStatusSaysSo) {
  begin({StartMode::elsync, absl::Hours(1)});
  el_at(0);
  EXPECT_THAT(driver_.started, ElementsAre(990));
  ends(contract::Outcome::missing_state, 0);
  TowView v = view();
  EXPECT_EQ(v.readiness.state, TowState::el_syncing);
  EXPECT_FALSE(v.readiness.ready);
  EXPECT_EQ(v.start.mode, "elsync");
  EXPECT_EQ(v.start.way, "elsync");
  el_at(500);
  EXPECT_THAT(driver_.started, ElementsAre(990)) << "it is on its way";
  EXPECT_THAT(driver_.imported, IsEmpty());
}

TEST_F(TowTest, AfterValidWhatIsLeftIsImported) {
  begin({StartMode::elsync, absl::Hours(1)});
  el_at(0);
  ends(contract::Outcome::done, 990);
  EXPECT_THAT(driver_.imported, ElementsAre(1000));
  EXPECT_EQ(view().start.way, "");
}

TEST_F(TowTest, OneThatStandsStillIsGivenUp) {
  begin({StartMode::elsync, absl::ZeroDuration()});
  el_at(0);
  ends(contract::Outcome::missing_state, 0);
  for (int i = 0; i < 100 && driver_.imported.empty(); ++i) el_at(0);
  EXPECT_THAT(driver_.imported, ElementsAre(1000));
  EXPECT_EQ(view().start.way, "import");
}

}  // namespace
}  // namespace towline::coordinator
