#include "services/remote-fetcher/actors/pool.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace towline::fetcher {
namespace {

/// A host with time that the test advances, and servers that answer when the test says so.
class FakeHost final : public Host {
 public:
  struct Post {
    std::string url;
    std::function<void(http::Response)> then;
  };
  Loop& loop() override { return loop_; }
  absl::Time now() const override { return now_; }
  void after(absl::Duration wait, std::function<void()> then) override {
    timers_.emplace(now_ + wait, std::move(then));
  }
  void compute(bool, std::function<void()> job, std::function<void()> then) override {
    job();
    then();
  }
  std::uint64_t post(http::Request request, std::function<void(http::Response)> then) override {
    posts.emplace(++last_, Post{request.url, std::move(then)});
    return last_;
  }
  void cancel_post(std::uint64_t id) override {
    if (posts.contains(id)) answer(id, http::cancelled("cancelled"));
  }
  void answer(std::uint64_t id, http::Response r) {
    const auto node = posts.extract(id);
    node.mapped().then(std::move(r));
  }
  void advance(absl::Duration d) {
    now_ += d;
    while (!timers_.empty() && timers_.begin()->first <= now_) {
      const auto node = timers_.extract(timers_.begin());
      node.mapped()();
    }
  }
  std::map<std::uint64_t, Post> posts;

 private:
  absl::Time now_ = absl::FromUnixSeconds(1000);
  std::multimap<absl::Time, std::function<void()>> timers_;
  std::uint64_t last_ = 0;
  Loop loop_;
};

http::Response said(absl::Duration elapsed) {
  http::Response r;
  r.status = 200;
  r.body = R"({"jsonrpc":"2.0","id":0,"result":"0x1"})";
  r.elapsed = elapsed;
  return r;
}

class PoolTest : public ::testing::Test {
 protected:
  PoolTest() {
    for (int i = 0; i < 2; ++i) {
      EndpointLimits limits;
      limits.max_in_flight = 2;
      configs_.push_back({"http://node" + std::to_string(i), {}, {}, limits});
    }
    view = std::make_shared<EndpointView>(configs_);
    pool = std::make_unique<Pool>(configs_, absl::Seconds(10), view, evidence_actor{}, metrics_, host);
    for (std::size_t i = 0; i < 2; ++i)
      pool->update(i, [&](Endpoint& e) { e.on_probed(host.now(), contract::EndpointKind::el, false); });
  }
  ~PoolTest() override { host.loop().drop_all(); }

  void ask(bool hedged, std::set<std::size_t> except = {}) {
    host.loop().start(asking(hedged, std::move(except)));
    pool->go_on();
  }
  /// The pending request to a node.
  std::uint64_t at(const std::string& node) {
    for (const auto& [id, p] : host.posts)
      if (p.url.find(node) != std::string::npos) return id;
    ADD_FAILURE() << "nothing is asked of " << node;
    return 0;
  }
  void answer(const std::string& node, absl::Duration took = absl::Milliseconds(100)) {
    host.answer(at(node), said(took));
    pool->go_on();
  }
  void advance(absl::Duration d) {
    host.advance(d);
    pool->go_on();
  }
  /// Teaches the pool that node 0 answers within 100 ms and node 1 within `second`; one request in twenty may be sent
  /// twice.
  void learn(absl::Duration second = absl::Milliseconds(100)) {
    for (int k = 0; k < 20; ++k) {
      ask(false, {1});
      answer("node0");
      ask(false, {0});
      answer("node1", second);
    }
    answers.clear();
  }

  FakeHost host;
  EndpointViewPtr view;
  std::unique_ptr<Pool> pool;
  CancelPtr cancel = std::make_shared<Cancel>();
  /// For each question, the endpoint that answered, or an error.
  std::vector<std::string> answers;

 private:
  Task<void> asking(bool hedged, std::set<std::size_t> except) {
    Wanted wanted;
    wanted.except = except;
    wanted.since = host.now();
    absl::StatusOr<Turn> turn = co_await pool->turn(std::move(wanted), cancel);
    if (!turn.ok()) {
      answers.emplace_back(absl::StatusCodeToString(turn.status().code()));
      co_return;
    }
    std::vector<jsonrpc::Call> calls(1);
    calls[0] = {"eth_chainId", "[]"};
    std::optional<Hedge> hedge;
    if (hedged) hedge = Hedge{};
    const Allowance allowance = allowance_of(Asked::small, 1);
    const absl::StatusOr<Reply> reply =
        co_await pool->call(*std::move(turn), std::move(calls), allowance, cancel, hedge);
    answers.push_back(reply.ok() ? std::to_string(reply->endpoint) : absl::StatusCodeToString(reply.status().code()));
  }

  std::vector<EndpointConfig> configs_;
  Metrics metrics_;
};

TEST_F(PoolTest, WaitsForASlotAndNobodyWaitsForIt) {
  for (int k = 0; k < 3; ++k) ask(false, {1});
  EXPECT_EQ(host.posts.size(), 2U);
  answer("node0");
  EXPECT_EQ(host.posts.size(), 2U);
  answer("node0");
  answer("node0");
  EXPECT_THAT(answers, ::testing::ElementsAre("0", "0", "0"));
  EXPECT_EQ(view->get(0)->in_flight(), 0);
}

TEST_F(PoolTest, WhoeverIsCancelledWaitsNoMore) {
  for (int k = 0; k < 3; ++k) ask(false, {1});
  cancel->call();
  pool->go_on();
  EXPECT_THAT(answers, ::testing::ElementsAre("CANCELLED", "CANCELLED", "CANCELLED"));
  EXPECT_TRUE(host.posts.empty());
  EXPECT_EQ(view->get(0)->in_flight(), 0);
  EXPECT_EQ(host.loop().size(), 0U);
}

TEST_F(PoolTest, PatienceEndsByItself) {
  pool->update(0, [&](Endpoint& e) { e.on_rate_limit(Work::poll, 1, 0, false, host.now(), absl::Minutes(5)); });
  ask(false, {1});
  advance(kPatience / 2);
  EXPECT_TRUE(answers.empty());
  advance(kPatience);
  EXPECT_THAT(answers, ::testing::ElementsAre("DEADLINE_EXCEEDED"));
}

TEST_F(PoolTest, ASecondEndpointIsAskedWhenTheFirstTakesLongerThanUsual) {
  learn();
  ask(true);
  EXPECT_EQ(host.posts.size(), 1U);
  advance(absl::Milliseconds(99) + kHedgeAfter);
  EXPECT_EQ(host.posts.size(), 1U);
  advance(absl::Milliseconds(2));
  ASSERT_EQ(host.posts.size(), 2U);
  answer("node1");
  EXPECT_THAT(answers, ::testing::ElementsAre("1")) << "who answers first";
  EXPECT_TRUE(host.posts.empty()) << "the other is cancelled";
  EXPECT_EQ(view->get(0)->in_flight(), 0);
  EXPECT_EQ(view->get(1)->in_flight(), 0);
}

TEST_F(PoolTest, TheFirstMayStillAnswerFirst) {
  learn();
  ask(true);
  advance(absl::Milliseconds(101) + kHedgeAfter);
  answer("node0");
  EXPECT_THAT(answers, ::testing::ElementsAre("0"));
  EXPECT_TRUE(host.posts.empty());
}

TEST_F(PoolTest, AFailureOfOneWaitsForTheOther) {
  learn();
  ask(true);
  advance(absl::Milliseconds(101) + kHedgeAfter);
  host.answer(at("node0"), http::connection_lost());
  pool->go_on();
  EXPECT_TRUE(answers.empty());
  answer("node1");
  EXPECT_THAT(answers, ::testing::ElementsAre("1"));
}

TEST_F(PoolTest, NobodyWaitsForTheTrialOfOneThatIsSlow) {
  learn(absl::Seconds(1));
  advance(absl::Seconds(1));
  ask(true);
  EXPECT_EQ(host.posts.size(), 1U) << "it was asked a moment ago";
  answer("node0");
  advance(Endpoint::kTrialEach);
  ask(true);
  EXPECT_EQ(host.posts.size(), 2U);
  answer("node0");
  EXPECT_THAT(answers, ::testing::ElementsAre("0", "0"));
  EXPECT_EQ(host.posts.size(), 1U) << "what it takes is of interest: it is not cancelled";
  ask(true);
  EXPECT_EQ(host.posts.size(), 2U) << "no second trial";
  answer("node0");
  answer("node1", absl::Milliseconds(900));
  EXPECT_EQ(view->get(1)->in_flight(), 0);
  EXPECT_THAT(answers, ::testing::ElementsAre("0", "0", "0"));
}

struct Ending {
  const char* name;
  std::function<void(FakeHost&, std::uint64_t post, Pool&)> make;
};
void PrintTo(const Ending& e, std::ostream* out) { *out << e.name; }

class TrialTest : public PoolTest, public ::testing::WithParamInterface<Ending> {};

TEST_P(TrialTest, GivesItsSlotBack) {
  learn(absl::Seconds(1));
  advance(absl::Seconds(1) + Endpoint::kTrialEach);
  ask(true);
  answer("node0");
  ASSERT_EQ(host.posts.size(), 1U);
  ASSERT_EQ(view->get(1)->in_flight(), 1);
  GetParam().make(host, at("node1"), *pool);
  pool->go_on();
  EXPECT_EQ(view->get(1)->in_flight(), 0);
  EXPECT_EQ(host.loop().size(), 0U);
  EXPECT_THAT(answers, ::testing::ElementsAre("0")) << "nobody is told of the trial";
}

INSTANTIATE_TEST_SUITE_P(
    AfterEachEnd, TrialTest,
    ::testing::Values(
        Ending{"answer", [](FakeHost& h, std::uint64_t p, Pool&) { h.answer(p, said(absl::Seconds(1))); }},
        Ending{"error", [](FakeHost& h, std::uint64_t p, Pool&) { h.answer(p, http::connection_lost()); }},
        Ending{"timeout", [](FakeHost& h, std::uint64_t p, Pool&) { h.answer(p, http::timed_out(absl::Seconds(10))); }},
        Ending{"too_large", [](FakeHost& h, std::uint64_t p, Pool&) { h.answer(p, http::too_large(1)); }},
        Ending{"busy",
               [](FakeHost& h, std::uint64_t p, Pool&) {
                 http::Response r = said(absl::Seconds(1));
                 r.status = 503;
                 r.body.clear();
                 r.retry_after = absl::Seconds(1);
                 h.answer(p, std::move(r));
               }},
        Ending{"stop", [](FakeHost&, std::uint64_t, Pool& pool) { pool.stop(); }},
        Ending{"drop", [](FakeHost& h, std::uint64_t, Pool&) { h.loop().drop_all(); }}),
    [](const auto& i) { return std::string{i.param.name}; });

TEST_F(PoolTest, AtMostOneInTwentyIsAskedTwice) {
  learn();
  int twice = 0;
  for (int k = 0; k < 40; ++k) {
    ask(true);
    advance(absl::Milliseconds(150));
    twice += host.posts.size() == 2 ? 1 : 0;
    host.answer(host.posts.begin()->first, said(absl::Milliseconds(100)));
    pool->go_on();
  }
  EXPECT_GE(twice, 8);
  EXPECT_LE(twice, 8 + 40 / 20) << "eight at the start, and then one in twenty";
}

TEST_F(PoolTest, NobodyIsAskedTwiceWhoMayNotBe) {
  learn();
  pool->update(1, [](Endpoint& e) { e.cordon("away"); });
  ask(true);
  advance(absl::Seconds(1));
  EXPECT_EQ(host.posts.size(), 1U);
  answer("node0");
  EXPECT_THAT(answers, ::testing::ElementsAre("0"));
}

}  // namespace
}  // namespace towline::fetcher
