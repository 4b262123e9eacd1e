// The dispatcher with a fake transport, in virtual time: endpoints that fail or never answer, the bounds of what waits,
// slots that are given back however a request ends, and the end of the dispatcher.
#include "services/remote-fetcher/actors/dispatcher.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <gmock/gmock.h>

#include <caf/actor_system_config.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <future>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "libs/actor_kit/actor_fixture.hpp"
#include "libs/actor_kit/actor_time.hpp"
#include "libs/base/exit_code.hpp"
#include "tests/support/hang.hpp"
#include "tests/support/sample_blocks.hpp"

namespace towline::fetcher {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using towline::testing::SampleBlock;
using namespace std::chrono_literals;

constexpr absl::Duration kTimeout = absl::Seconds(10);
constexpr std::uint64_t kChainId = 901;

const SampleBlock& block() {
  static const SampleBlock b = towline::testing::sample_block(7, 1, 40);
  return b;
}
std::string block_json() {
  return absl::StrCat("{", towline::testing::header_fields_json(block().header, block().hash),
                      R"(,"transactions":[]})");
}

http::Response said(std::string body, long status = 200) {
  http::Response r;
  r.status = status;
  r.body = std::move(body);
  r.elapsed = absl::Milliseconds(5);
  return r;
}
http::Response busy() {
  http::Response r = said("", 503);
  r.retry_after = absl::Seconds(1);
  return r;
}
http::Response has_block() { return said(absl::StrCat(R"({"jsonrpc":"2.0","id":0,"result":)", block_json(), "}")); }

/// Endpoints that answer polls at once. They answer a question for a block by its hash when the test says so.
class FakeNodes final : public http::Transport {
 public:
  struct Post {
    std::string url;
    std::function<void(http::Response)> done;
  };
  std::uint64_t post(http::Request request, std::function<void(http::Response)> done) override {
    const json asked = json::parse(request.body);
    const bool poll = asked.is_array() || asked["method"] != "eth_getBlockByHash";
    if (poll) ++polls;
    if (poll && !silent) done(said(answer(asked)));
    else posts.emplace(++last_, Post{request.url, std::move(done)});
    return last_;
  }
  std::uint64_t subscribe_heads(http::Request, std::function<void(http::Push)>) override { return ++last_; }
  void cancel(std::uint64_t id) override {
    if (posts.contains(id) && !deaf) give(id, http::cancelled("cancelled"));
  }
  void cancel_all() override {
    while (!posts.empty() && !deaf) give(posts.begin()->first, http::cancelled("cancelled"));
  }
  void ask_turn(std::function<void()> turn) override { turn(); }

  void give(std::uint64_t id, http::Response r) {
    const auto node = posts.extract(id);
    node.mapped().done(std::move(r));
  }
  std::map<std::uint64_t, Post> posts;
  std::size_t polls = 0;
  /// Polls get no answer.
  bool silent = false;
  /// Cancelled requests get no answer either.
  bool deaf = false;

 private:
  static std::string answer(const json& asked) {
    if (asked.is_array()) {
      std::string out = "[";
      for (const json& call : asked) absl::StrAppend(&out, out.size() > 1 ? "," : "", answer(call));
      return out + "]";
    }
    const std::string method = asked["method"];
    std::string result = R"("error":{"code":-32601,"message":"the method does not exist"})";
    if (method == "eth_chainId") result = absl::StrCat(R"("result":")", to_quantity(kChainId), "\"");
    if (method == "eth_getBlockByNumber") result = absl::StrCat(R"("result":)", block_json());
    return absl::StrCat(R"({"jsonrpc":"2.0","id":)", asked["id"].get<std::uint64_t>(), ",", result, "}");
  }
  std::uint64_t last_ = 0;
};

std::vector<EndpointConfig> endpoints(std::size_t count, int slots) {
  std::vector<EndpointConfig> out;
  for (std::size_t i = 0; i < count; ++i) {
    EndpointLimits limits;
    limits.max_in_flight = slots;
    out.push_back({absl::StrCat("http://node", i), {}, {}, limits, {}, {"", absl::StrCat("group", i)}});
  }
  return out;
}

DispatcherConfig config_for(std::vector<EndpointConfig> endpoints) {
  DispatcherConfig c;
  c.request_timeout = kTimeout;
  c.rollup.l2_chain_id = kChainId;
  c.rollup.l2_genesis = {block().header.number, block().hash};
  c.poll_interval = absl::Seconds(1);
  c.check_times = false;
  c.max_in_flight = endpoints.front().limits.max_in_flight;
  c.endpoints = std::move(endpoints);
  return c;
}

HeadHubConfig heads_of(const EndpointView& view) {
  const Vote::Ages ages{absl::Hours(3), absl::Hours(3), absl::Hours(3)};
  return {Vote{view.voters(), {}, ages}, ChainClock{view.voters()}, absl::Hours(1), [](const HeadBoard&, absl::Time) {
            return SourceTroubles{{"no_heads", "nobody"}, {}, false};
          }};
}

Wanted wanted(const Pool& pool) {
  Wanted w;
  w.since = pool.now();
  return w;
}

/// The result of a question: "ok", or a code.
std::string word(const absl::Status& st) { return st.ok() ? "ok" : absl::StatusCodeToString(st.code()); }

class DispatcherTest : public towline::testing::ActorTest {
 protected:
  void start(std::size_t count, int slots, std::size_t verifiers = 1) {
    const auto nodes_at = endpoints(count, slots);
    view = std::make_shared<EndpointView>(nodes_at);
    heads_.emplace(system, heads_of(*view));
    own(heads_->actor());
    Workers workers{nodes, own(system.spawn(evidence, std::string{})), {}};
    for (std::size_t v = 0; v < verifiers; ++v) workers.verifiers.push_back(own(system.spawn(verifier)));
    dispatcher.emplace(system, config_for(nodes_at), view, *heads_, own(system.spawn(fork_watch, rollup::Config{})),
                       metrics_, workers);
    own(dispatcher->actor());
    dispatch();
  }
  void ask_with(std::function<Task<void>(Sources, CancelPtr)> ask, std::uint64_t owner = 1, Lane lane = Lane::callers) {
    Question q;
    q.owner = owner;
    q.lane = lane;
    q.ask = std::move(ask);
    q.refuse = [this](const absl::Status& why) { told.push_back("refused: " + word(why)); };
    dispatcher->ask(std::move(q));
    dispatch();
  }
  /// Asks for the block by its hash.
  void ask(std::uint64_t owner = 1, Lane lane = Lane::callers) {
    ask_with(
        [this](Sources s, CancelPtr cancelled) -> Task<void> {
          const absl::StatusOr<eth::Header> h = co_await s.headers.by_hash(block().hash, cancelled);
          told.push_back(word(h.status()));
        },
        owner, lane);
  }
  /// The pending requests to a node, oldest first.
  std::vector<std::uint64_t> at(const std::string& node) const {
    std::vector<std::uint64_t> out;
    for (const auto& [id, p] : nodes->posts)
      if (p.url == "http://" + node) out.push_back(id);
    return out;
  }
  void answer(const std::string& node, const http::Response& r = has_block()) {
    ASSERT_THAT(at(node), Not(IsEmpty())) << "nothing is asked of " << node;
    nodes->give(at(node).front(), r);
    dispatch();
  }
  int in_flight() const {
    int out = 0;
    for (std::size_t i = 0; i < view->size(); ++i) out += view->get(i)->in_flight();
    return out;
  }
  State state_of(std::size_t i) { return view->get(i)->state(steady_time(scheduler.clock().now())); }
  void kill() {
    caf::anon_send_exit(dispatcher->actor(), caf::exit_reason::user_shutdown);
    dispatch();
  }
  bool alive() {
    bool turn = false;
    dispatcher->ask_turn([&turn] { turn = true; });
    dispatch();
    return turn;
  }

  std::shared_ptr<FakeNodes> nodes = std::make_shared<FakeNodes>();
  EndpointViewPtr view;
  std::optional<Dispatcher> dispatcher;
  std::vector<std::string> told;

 private:
  std::optional<Heads> heads_;
  Metrics metrics_;
};

TEST_F(DispatcherTest, AnotherIsAskedWhenAnEndpointDies) {
  start(2, 4);
  ask();
  answer("node0", http::connection_lost());
  EXPECT_EQ(state_of(0), State::backing_off);
  answer("node1");
  EXPECT_THAT(told, ElementsAre("ok"));
  EXPECT_EQ(in_flight(), 0);
}

TEST_F(DispatcherTest, SaysSoInTheEndWhenAllAreDead) {
  start(2, 4);
  ask();
  for (int k = 0; k < 600 && told.empty(); ++k) {
    while (!nodes->posts.empty()) {
      nodes->give(nodes->posts.begin()->first, http::connection_lost());
      dispatch();
    }
    advance(100ms, 100ms);
  }
  EXPECT_THAT(told, ElementsAre("UNAVAILABLE"));
  EXPECT_EQ(in_flight(), 0);
}

TEST_F(DispatcherTest, AnotherIsAskedWhenAnEndpointDoesNotAnswerInTime) {
  start(2, 4);
  ask();
  EXPECT_THAT(at("node0"), SizeIs(1));
  advance(absl::ToChronoMilliseconds(kTimeout), 1000ms);
  answer("node0", http::timed_out(kTimeout));
  EXPECT_EQ(state_of(0), State::backing_off);
  answer("node1");
  EXPECT_THAT(told, ElementsAre("ok"));
  EXPECT_EQ(in_flight(), 0);
}

TEST_F(DispatcherTest, APollThatIsNeverAnsweredIsBrokenOffAndMadeAgain) {
  start(1, 4);
  nodes->silent = true;
  advance(2000ms, 1000ms);
  const std::size_t polls = nodes->polls;
  ASSERT_THAT(nodes->posts, SizeIs(1));
  advance(absl::ToChronoMilliseconds(kTimeout), 1000ms);
  EXPECT_EQ(nodes->polls, polls) << "one at a time";
  advance(2 * absl::ToChronoMilliseconds(kTimeout), 1000ms);
  EXPECT_GT(nodes->polls, polls);
  EXPECT_THAT(nodes->posts, SizeIs(::testing::Le(1)));
  // A pending poll does not delay other requests.
  ask();
  EXPECT_THAT(nodes->posts, SizeIs(2));
}

TEST_F(DispatcherTest, SoManyQuestionsOfCallersWaitAndNoMore) {
  start(1, 1);
  // 64 questions run at once, and 256 wait.
  for (int k = 0; k < 64 + 256; ++k) ask();
  EXPECT_THAT(told, IsEmpty());
  EXPECT_THAT(nodes->posts, SizeIs(1));
  ask();
  EXPECT_THAT(told, ElementsAre("refused: RESOURCE_EXHAUSTED"));
  ask(2, Lane::headers);
  EXPECT_THAT(told, SizeIs(1)) << "the bound is for callers";
  answer("node0");
  EXPECT_THAT(told, ElementsAre("refused: RESOURCE_EXHAUSTED", "ok"));
  ask();
  EXPECT_THAT(told, SizeIs(2)) << "there is room for one again";
  ask();
  EXPECT_THAT(told, ElementsAre("refused: RESOURCE_EXHAUSTED", "ok", "refused: RESOURCE_EXHAUSTED"));
  // The others follow one after the other.
  while (!nodes->posts.empty()) answer("node0");
  EXPECT_THAT(told, SizeIs(3 + 64 + 256 + 1));
  EXPECT_EQ(in_flight(), 0);
}

TEST_F(DispatcherTest, SoManyRequestsWaitForATurnAndNoMore) {
  start(1, 1);
  const auto wait = [this](Sources s, CancelPtr cancelled) -> Task<void> {
    const absl::StatusOr<Turn> turn = co_await s.pool.turn(wanted(s.pool), cancelled);
    told.push_back(word(turn.status()));
  };
  ask();
  ASSERT_THAT(nodes->posts, SizeIs(1));
  const auto all_at_once = [wait](std::size_t count, Sources s, CancelPtr cancelled) -> Task<void> {
    std::vector<Task<void>> tasks;
    for (std::size_t k = 0; k < count; ++k) tasks.push_back(wait(s, cancelled));
    co_await all(s.pool.host().loop(), std::move(tasks));
  };
  const auto some = [all_at_once](std::size_t count) {
    return [all_at_once, count](Sources s, CancelPtr cancelled) -> Task<void> {
      co_await all_at_once(count, s, cancelled);
    };
  };
  ask_with(some(kMostWaiting - 1), 2);
  ask_with(some(1), 3);
  EXPECT_THAT(told, IsEmpty());
  ask_with(some(1), 4);
  EXPECT_THAT(told, ElementsAre("RESOURCE_EXHAUSTED"));
  dispatcher->close(3);
  dispatch();
  EXPECT_THAT(told, ElementsAre("RESOURCE_EXHAUSTED", "CANCELLED"));
  ask_with(some(1), 4);
  EXPECT_THAT(told, SizeIs(2)) << "there is room for one again";
  ask_with(some(1), 4);
  EXPECT_THAT(told, ElementsAre("RESOURCE_EXHAUSTED", "CANCELLED", "RESOURCE_EXHAUSTED"));
  dispatcher->close(2);
  dispatcher->close(4);
  dispatch();
  EXPECT_THAT(told, SizeIs(3 + kMostWaiting));
}

struct Ending {
  const char* name;
  std::function<void(FakeNodes&, std::uint64_t post, const Dispatcher&)> make;
};
void PrintTo(const Ending& e, std::ostream* out) { *out << e.name; }

class SlotTest : public DispatcherTest, public ::testing::WithParamInterface<Ending> {};

TEST_P(SlotTest, IsFreeForWhoWaits) {
  start(1, 1);
  ask(1);
  ask(2);
  ASSERT_THAT(nodes->posts, SizeIs(1));
  EXPECT_EQ(in_flight(), 1);
  const std::uint64_t first = nodes->posts.begin()->first;
  GetParam().make(*nodes, first, *dispatcher);
  dispatch();
  // Longer than any back-off after one failure.
  advance(12'000ms, 1000ms);
  ASSERT_THAT(nodes->posts, SizeIs(1));
  EXPECT_GT(nodes->posts.begin()->first, first);
  EXPECT_EQ(in_flight(), 1);
  while (!nodes->posts.empty()) answer("node0");
  EXPECT_THAT(told, Contains("ok"));
  EXPECT_EQ(in_flight(), 0);
}

INSTANTIATE_TEST_SUITE_P(
    AfterEachEnd, SlotTest,
    ::testing::Values(
        Ending{"answer", [](FakeNodes& n, std::uint64_t p, const Dispatcher&) { n.give(p, has_block()); }},
        Ending{"error", [](FakeNodes& n, std::uint64_t p, const Dispatcher&) { n.give(p, http::connection_lost()); }},
        Ending{"http_error", [](FakeNodes& n, std::uint64_t p, const Dispatcher&) { n.give(p, said("", 500)); }},
        Ending{"busy", [](FakeNodes& n, std::uint64_t p, const Dispatcher&) { n.give(p, busy()); }},
        Ending{"rate_limit", [](FakeNodes& n, std::uint64_t p, const Dispatcher&) { n.give(p, said("", 429)); }},
        Ending{"not_json", [](FakeNodes& n, std::uint64_t p, const Dispatcher&) { n.give(p, said("<html>")); }},
        Ending{"timeout",
               [](FakeNodes& n, std::uint64_t p, const Dispatcher&) { n.give(p, http::timed_out(kTimeout)); }},
        Ending{"cancel", [](FakeNodes&, std::uint64_t, const Dispatcher& d) { d.close(1); }}),
    [](const auto& i) { return std::string{i.param.name}; });

TEST_F(DispatcherTest, AnAnswerThatIsTooLargeLeavesNoSlotTaken) {
  start(1, 1);
  ask(1);
  ask(2);
  answer("node0", http::too_large(1));
  EXPECT_EQ(state_of(0), State::quarantined);
  EXPECT_THAT(told, ElementsAre("UNAVAILABLE", "UNAVAILABLE")) << "nobody waits for the end of a quarantine";
  EXPECT_EQ(in_flight(), 0);
  advance(12'000ms, 1000ms);
  ask(3);
  answer("node0");
  EXPECT_EQ(told.back(), "ok");
  EXPECT_EQ(in_flight(), 0);
}

TEST_F(DispatcherTest, AnEndOfItsOwnLeavesNoSlotTaken) {
  start(2, 2);
  for (std::uint64_t owner = 1; owner <= 8; ++owner) ask(owner);
  EXPECT_EQ(in_flight(), 4);
  kill();
  EXPECT_FALSE(alive());
  EXPECT_EQ(in_flight(), 0);
  EXPECT_THAT(told, IsEmpty());
}

TEST_F(DispatcherTest, ATurnWithoutARequestLeavesNoSlotTaken) {
  start(1, 1);
  ask_with([this](Sources s, CancelPtr cancelled) -> Task<void> {
    const absl::StatusOr<Turn> turn = co_await s.pool.turn(wanted(s.pool), cancelled);
    told.push_back(word(turn.status()));
  });
  EXPECT_THAT(told, ElementsAre("ok"));
  EXPECT_EQ(in_flight(), 0);
  ask();
  EXPECT_THAT(nodes->posts, SizeIs(1));
}

TEST_F(DispatcherTest, ATurnThatIsCancelledAsItComesLeavesNoSlotTaken) {
  start(1, 2);
  dispatcher->change(
      0, [this](Endpoint& e) { e.hold(steady_time(scheduler.clock().now()), "away"); }, [] {});
  const auto second = std::make_shared<CancelPtr>();
  ask_with([this, second](Sources s, CancelPtr cancelled) -> Task<void> {
    const absl::StatusOr<Turn> turn = co_await s.pool.turn(wanted(s.pool), cancelled);
    (*second)->call();
    told.push_back(word(turn.status()));
  });
  ask_with(
      [this, second](Sources s, CancelPtr cancelled) -> Task<void> {
        *second = cancelled;
        const absl::StatusOr<eth::Header> h = co_await s.headers.by_hash(block().hash, cancelled);
        told.push_back(word(h.status()));
      },
      2);
  EXPECT_THAT(told, IsEmpty());
  // Both get their turns at once, and the first task cancels the second.
  dispatcher->change(
      0, [](Endpoint& e) { EXPECT_TRUE(e.uncordon().ok()); }, [] {});
  dispatch();
  EXPECT_THAT(told, ElementsAre("ok", "CANCELLED"));
  EXPECT_THAT(nodes->posts, IsEmpty());
  EXPECT_EQ(in_flight(), 0);
}

TEST_F(DispatcherTest, StoppingCancelsWhatIsUnderWayAtOnce) {
  start(1, 1);
  ask(1);
  ask(2);
  for (std::uint64_t owner = 3; owner <= 70; ++owner) ask(owner);
  BodiesOrder order;
  order.headers = std::make_shared<const std::vector<HashedHeader>>(1, HashedHeader{block().hash, block().header});
  order.count = 1;
  order.expected_bytes = 1000;
  order.done = [this](absl::StatusOr<std::vector<ServedPtr>> got, std::size_t) {
    told.push_back("bodies: " + word(got.status()));
  };
  dispatcher->fetch(100, 1, std::move(order));
  dispatch();
  EXPECT_THAT(told, IsEmpty());
  dispatcher->stop();
  dispatch();
  EXPECT_THAT(told, SizeIs(71));
  EXPECT_THAT(told, Contains("bodies: CANCELLED"));
  EXPECT_THAT(told, Each(::testing::EndsWith("CANCELLED")));
  EXPECT_EQ(in_flight(), 0);
  ask();
  EXPECT_EQ(told.back(), "refused: CANCELLED");
  kill();
  EXPECT_FALSE(alive());
}

TEST_F(DispatcherTest, ABatchThatEndedMakesRoomForTheNext) {
  start(1, 1);
  for (std::uint64_t stream = 100; stream < 103; ++stream) {
    BodiesOrder order;
    order.headers = std::make_shared<const std::vector<HashedHeader>>(1, HashedHeader{block().hash, block().header});
    order.count = 1;
    order.expected_bytes = 1000;
    order.done = [](const absl::StatusOr<std::vector<ServedPtr>>&, std::size_t) {};
    dispatcher->fetch(stream, 1, std::move(order));
    dispatch();
    EXPECT_THAT(nodes->posts, SizeIs(1));
    dispatcher->close(stream);
    dispatch();
    EXPECT_THAT(nodes->posts, IsEmpty());
  }
  EXPECT_EQ(in_flight(), 0);
}

TEST_F(DispatcherTest, EndsThoughItsTransportAndItsVerifiersDoNotAnswer) {
  start(1, 4, 0);
  ask(1);
  nodes->deaf = true;
  dispatcher->stop();
  dispatch();
  EXPECT_TRUE(alive());
  kill();
  EXPECT_FALSE(alive());
  EXPECT_EQ(in_flight(), 0);
}

/// A dispatcher on threads of its own, as in the service.
class LiveDispatcher {
 public:
  ~LiveDispatcher() {
    heads_.stop();
    dispatcher.stop();
    dispatcher.end(system_);
    Terminator others;
    others.add(forks_);
    others.add(heads_.actor());
    others.end(system_);
  }

 private:
  caf::actor_system_config config_;
  caf::actor_system system_{config_};
  const std::vector<EndpointConfig> endpoints_ = endpoints(1, 4);
  EndpointViewPtr view_ = std::make_shared<EndpointView>(endpoints_);
  Heads heads_{system_, heads_of(*view_)};
  fork_watch_actor forks_ = system_.spawn(fork_watch, rollup::Config{});
  Metrics metrics_;

 public:
  std::shared_ptr<FakeNodes> nodes = std::make_shared<FakeNodes>();
  Dispatcher dispatcher{system_,
                        config_for(endpoints_),
                        view_,
                        heads_,
                        forks_,
                        metrics_,
                        Workers{nodes,
                                system_.spawn<caf::detached>(evidence, std::string{}),
                                {system_.spawn<caf::detached>(verifier), system_.spawn<caf::detached>(verifier)}}};
  /// The question has no owner, so nothing cancels it.
  void ask(std::function<Task<void>(Sources)> what) {
    Question q;
    q.ask = [what = std::move(what)](Sources s, CancelPtr) { return what(s); };
    q.refuse = [](const absl::Status&) {};
    dispatcher.ask(std::move(q));
  }
};

TEST(LiveDispatcher, EndsWhileATaskWaitsForWhatNeverComes) {
  LiveDispatcher d;
  const auto asked = std::make_shared<std::promise<void>>();
  d.ask([asked](Sources s) -> Task<void> {
    Once<bool> never{s.pool.host().loop()};
    asked->set_value();
    co_await never;
  });
  asked->get_future().wait();
}

void fails(bool in_verifier) {
  LiveDispatcher d;
  d.ask([in_verifier](Sources s) -> Task<void> {
    const auto fail = []() -> int { throw std::runtime_error{"as the test says"}; };
    if (!in_verifier) fail();
    co_await computed(s.pool.host(), true, fail);
  });
  // The process ends before.
  absl::SleepFor(towline::testing::kHang);
}

TEST(DispatcherDeathTest, AnExceptionInATaskEndsTheProcessAndIsNamed) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(fails(false), ::testing::ExitedWithCode(kExitBroken), "dispatcher.*as the test says");
  EXPECT_EXIT(fails(true), ::testing::ExitedWithCode(kExitBroken), "verifier.*as the test says");
}

}  // namespace
}  // namespace towline::fetcher
