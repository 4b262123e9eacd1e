// The whole service except its main(): gRPC calls on one side, fake nodes on the other, and a test for each fault that
// a source can have.
#include <absl/strings/str_replace.h>
#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "libs/eth/payload.hpp"
#include "libs/eth/raw_block.hpp"
#include "libs/wire/convert.hpp"
#include "services/remote-fetcher/edge/fake_node.hpp"
#include "services/remote-fetcher/edge/fetcher_service.hpp"
#include "tests/support/hang.hpp"

namespace towline::fetcher {
namespace {

using fetcher::testing::FakeNode;
using fetcher::testing::make_chain;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using towline::testing::kHang;
using towline::testing::SampleBlock;

constexpr absl::Duration kInterval = absl::Milliseconds(50);
/// For one request; an honest node needs less, even on the slowest machine.
constexpr absl::Duration kTimeout = absl::Seconds(5);

rollup::Config config_for(const std::vector<SampleBlock>& chain) {
  rollup::Config c;
  c.l2_chain_id = 901;
  c.l2_genesis = {0, chain[0].hash};
  c.l2_time = chain[0].header.timestamp;
  c.block_time = 2;
  c.fork_times.fill(0);
  c.fork_times[static_cast<std::size_t>(rollup::Fork::karst)].reset();
  c.fork_times[static_cast<std::size_t>(rollup::Fork::lagoon)].reset();
  return c;
}

eth::BlockId id(const SampleBlock& b) { return {b.header.number, b.hash}; }

/// The fetcher with the nodes as endpoints. Must be destroyed before them.
class Fetcher {
 public:
  Fetcher(rollup::Config config, const std::vector<const FakeNode*>& nodes, EndpointLimits limits = {},
          absl::Duration timeout = kTimeout, std::string suffix = {}, std::size_t max_buffered_bytes = 64U << 20U)
      : config_{std::move(config)},
        evidence_{std::filesystem::path{::testing::TempDir()} /
                  absl::StrCat("evidence-", getpid(), "-", ++count_, ".jsonl")} {
    std::vector<EndpointConfig> endpoints;
    // Each node has its own vote.
    for (const FakeNode* n : nodes)
      endpoints.push_back({n->url() + suffix, {}, {}, limits, {}, {"", absl::StrCat("group", endpoints.size())}});
    view_ = std::make_shared<EndpointView>(endpoints);
    const Vote vote{
        view_->voters(), {}, Vote::Ages{absl::Milliseconds(500), timeout + absl::Seconds(1), absl::Seconds(10)}};
    board_ = std::make_unique<Heads>(
        system_, HeadHubConfig{vote, ChainClock{view_->voters()}, kInterval,
                               [this](const HeadBoard& b, absl::Time now) { return troubles_of(*view_, b, now); }});
    forks_ = system_.spawn(fork_watch, config_);
    DispatcherConfig dispatching;
    dispatching.endpoints = endpoints;
    dispatching.request_timeout = timeout;
    dispatching.evidence_file = evidence_;
    dispatching.rollup = config_;
    dispatching.poll_interval = kInterval;
    dispatching.max_in_flight = limits.max_in_flight;
    dispatching.max_bytes = max_buffered_bytes;
    dispatcher_ = std::make_unique<Dispatcher>(system_, std::move(dispatching), view_, *board_, *forks_, metrics_);
    heads_service_ = std::make_unique<FetcherService>(*dispatcher_, *board_);
    payload_service_ =
        std::make_unique<PayloadService>(system_, StreamConfig{0, {}, {}, limits.max_in_flight, dispatcher_.get()});
    grpc::ServerBuilder builder;
    builder.RegisterService(heads_service_.get());
    builder.RegisterService(payload_service_.get());
    server_ = builder.BuildAndStart();
    channel_ = server_->InProcessChannel({});
    heads = v1::RemoteFetcher::NewStub(channel_);
    payloads = v1::PayloadSource::NewStub(channel_);
  }
  ~Fetcher() {
    dispatcher_->stop();
    board_->stop();
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds{2});
    server_->Wait();
    Terminator others;
    others.add(*forks_);
    others.add(board_->actor());
    dispatcher_->end(system_);
    others.end(system_);
    // A stream whose reader is gone still uses the dispatcher once.
    system_.await_all_actors_done();
    std::error_code ec;
    std::filesystem::remove(evidence_, ec);
  }

  /// Waits until the condition holds; the test fails after kHang.
  void eventually(const std::string& what, const std::function<bool()>& condition) {
    const absl::Time end = absl::Now() + kHang;
    while (!condition()) {
      if (absl::Now() > end) return void(ADD_FAILURE() << "never: " << what);
      absl::SleepFor(absl::Milliseconds(10));
    }
  }
  v1::Endpoint endpoint(std::size_t i) {
    grpc::ClientContext ctx;
    v1::ListEndpointsResponse resp;
    EXPECT_TRUE(heads->ListEndpoints(&ctx, {}, &resp).ok());
    return resp.endpoints(static_cast<int>(i));
  }
  void until_ready(std::size_t i) {
    eventually("endpoint ready", [&] { return endpoint(i).state() == v1::ENDPOINT_STATE_READY; });
  }
  /// The first snapshot that fits.
  std::optional<v1::HeadSnapshot> head(const std::function<bool(const v1::HeadSnapshot&)>& fits,
                                       std::optional<eth::BlockId> confirmed_finalized = {}) {
    const absl::Time end = absl::Now() + kHang;
    while (absl::Now() < end) {
      grpc::ClientContext ctx;
      ctx.set_deadline(absl::ToChronoTime(end));
      v1::WatchHeadsRequest req;
      if (confirmed_finalized) *req.mutable_confirmed_finalized() = wire::to_proto(*confirmed_finalized);
      auto reader = heads->WatchHeads(&ctx, req);
      v1::WatchHeadsResponse m;
      while (reader->Read(&m)) {
        if (!fits(m.snapshot())) continue;
        ctx.TryCancel();
        return m.snapshot();
      }
      reader->Finish();
    }
    return std::nullopt;
  }

  /// The first WatchHeads trouble whose message fits.
  v1::SourceTrouble trouble(const std::function<bool(const v1::WatchHeadsResponse&)>& fits) {
    grpc::ClientContext ctx;
    auto reader = heads->WatchHeads(&ctx, {});
    v1::WatchHeadsResponse m;
    while (reader->Read(&m)) {
      if ((!m.has_trouble() && !m.snapshot().has_blocks_trouble()) || !fits(m)) continue;
      ctx.TryCancel();
      return m.has_trouble() ? m.trouble() : m.snapshot().blocks_trouble();
    }
    ADD_FAILURE() << "the stream ended";
    return {};
  }

  struct Streamed {
    std::vector<eth::Payload> payloads;
    std::set<std::string> endpoints;
    grpc::Status status;
  };
  Streamed stream(const eth::BlockId& parent, const eth::BlockId& tip,
                  const std::function<void(std::size_t)>& after = {}) {
    grpc::ClientContext ctx;
    ctx.set_deadline(absl::ToChronoTime(absl::Now() + kHang));
    v1::StreamPayloadsRequest req;
    *req.mutable_parent() = wire::to_proto(parent);
    *req.mutable_tip() = wire::to_proto(tip);
    auto reader = payloads->StreamPayloads(&ctx, req);
    v1::StreamPayloadsResponse m;
    Streamed out;
    while (reader->Read(&m)) {
      out.payloads.push_back(*wire::from_proto(m.payload()));
      out.endpoints.insert(m.endpoint());
      if (after) after(out.payloads.size());
    }
    out.status = reader->Finish();
    return out;
  }
  std::string evidence() const {
    std::ifstream in{evidence_};
    return {std::istreambuf_iterator<char>{in}, {}};
  }
  std::string metrics() const { return metrics_.text(); }

 private:
  static inline int count_ = 0;
  const rollup::Config config_;
  const std::string evidence_;
  caf::actor_system_config cfg_;
  caf::actor_system system_{cfg_};
  Metrics metrics_;
  EndpointViewPtr view_;
  std::unique_ptr<Heads> board_;
  std::optional<fork_watch_actor> forks_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::unique_ptr<FetcherService> heads_service_;
  std::unique_ptr<PayloadService> payload_service_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;

 public:
  std::unique_ptr<v1::RemoteFetcher::Stub> heads;
  std::unique_ptr<v1::PayloadSource::Stub> payloads;
};

/// Every payload belongs to the chain, comes in order, and has the hash that it claims.
void expect_chain(const Fetcher::Streamed& got, const std::vector<SampleBlock>& chain, std::size_t first,
                  std::size_t last) {
  ASSERT_TRUE(got.status.ok()) << got.status.error_message();
  ASSERT_EQ(got.payloads.size(), last - first + 1);
  for (std::size_t n = first; n <= last; ++n) {
    const eth::Payload& p = got.payloads[n - first];
    ASSERT_EQ(p.block_hash, chain[n].hash);
    ASSERT_EQ(eth::hash_of(p), chain[n].hash);
    ASSERT_EQ(p.transactions, chain[n].transactions);
  }
}

TEST(Fetcher, StreamsAVerifiedRange) {
  const auto chain = make_chain(400);
  FakeNode node{chain};
  Fetcher f{config_for(chain), {&node}};
  f.until_ready(0);
  expect_chain(f.stream(id(chain[0]), id(chain[399])), chain, 1, 399);
  expect_chain(f.stream(id(chain[398]), id(chain[399])), chain, 399, 399);
  EXPECT_EQ(f.endpoint(0).integrity_failures(), 0U);
}

TEST(Fetcher, ASlowSourceOfThreeIsAskedLast) {
  constexpr std::size_t kRange = 200;
  const auto chain = make_chain(12 * kRange);
  FakeNode a{chain}, b{chain}, slow{chain};
  Fetcher f{config_for(chain), {&a, &b, &slow}};
  for (std::size_t i = 0; i < 3; ++i) f.until_ready(i);
  slow.faults.delay_ms = 700;
  std::size_t at = 0;
  const auto next = [&] {
    expect_chain(f.stream(id(chain[at]), id(chain[at + kRange])), chain, at + 1, at + kRange);
    at += kRange;
  };
  for (int k = 0; k < 8 && f.endpoint(2).reason_code() != "source_slow"; ++k) next();
  ASSERT_EQ(f.endpoint(2).reason_code(), "source_slow");
  EXPECT_EQ(f.endpoint(2).state(), v1::ENDPOINT_STATE_READY);
  const int asked = slow.calls("eth_getBlockByHash");
  next();
  EXPECT_LT(slow.calls("eth_getBlockByHash") - asked, static_cast<int>(kRange / 3)) << "a trial";
  EXPECT_THAT(f.metrics(), HasSubstr("towline_fetcher_slow{"));
}

TEST(Fetcher, StreamsFromRawBlocks) {
  const auto chain = make_chain(60);
  FakeNode node{chain};
  node.faults.raw = true;
  Fetcher f{config_for(chain), {&node}};
  f.until_ready(0);
  EXPECT_TRUE(f.endpoint(0).raw_methods());
  expect_chain(f.stream(id(chain[0]), id(chain[29])), chain, 1, 29);
  node.faults.raw = false;  // the raw methods are removed
  expect_chain(f.stream(id(chain[29]), id(chain[59])), chain, 30, 59);
}

TEST(Fetcher, TakesUnknownTransactionTypesRaw) {
  const auto chain = make_chain(20);
  FakeNode node{chain};
  node.faults.new_type = true;
  Fetcher f{config_for(chain), {&node}};
  f.until_ready(0);
  expect_chain(f.stream(id(chain[0]), id(chain[19])), chain, 1, 19);
  EXPECT_GT(node.calls("eth_getRawTransactionByBlockHashAndIndex"), 0);
}

TEST(Fetcher, ServesCoherentHeads) {
  const auto chain = make_chain(50);
  FakeNode node{chain};
  Fetcher f{config_for(chain), {&node}};
  const auto s = f.head([](const auto&) { return true; });
  ASSERT_TRUE(s);
  EXPECT_EQ(s->kind(), v1::ENDPOINT_KIND_EL);
  EXPECT_EQ(wire::from_proto(s->unsafe())->hash, chain[49].hash);
  EXPECT_EQ(wire::from_proto(s->safe())->hash, chain[24].hash);
  EXPECT_EQ(wire::from_proto(s->finalized())->hash, chain[12].hash);
  node.set_labels(40, 45, 12);
  f.eventually("out of order snapshots are counted",
               [&] { return f.metrics().find("towline_fetcher_snapshots_dropped_total") != std::string::npos; });
  node.set_labels(48, 45, 12);
  EXPECT_TRUE(f.head([](const auto& x) { return x.unsafe().number() == 48; }));
}

TEST(Fetcher, TakesTheHeadsOfTheFirstAndBlocksOfAnEl) {
  const auto chain = make_chain(50);
  FakeNode cl{chain, true}, el{chain};
  Fetcher f{config_for(chain), {&cl, &el}};
  const auto s = f.head([](const auto& x) {
    // The next look asks the EL for that block.
    return x.kind() == v1::ENDPOINT_KIND_CL && x.has_local_safe();
  });
  ASSERT_TRUE(s);
  EXPECT_TRUE(s->has_current_l1());
  f.until_ready(1);
  expect_chain(f.stream(id(chain[0]), id(chain[49])), chain, 1, 49);
}

TEST(Fetcher, HeadsGoOnWhileOneHangs) {
  const auto chain = make_chain(50);
  FakeNode a{chain}, b{chain};
  Fetcher f{config_for(chain), {&a, &b}};
  f.until_ready(0);
  f.until_ready(1);
  const auto first = f.head([](const auto&) { return true; });
  ASSERT_TRUE(first);
  FakeNode& primary = first->endpoint() == f.endpoint(0).name() ? a : b;
  FakeNode& other = &primary == &a ? b : a;
  primary.faults.hang = true;
  const absl::Time start = absl::Now();
  const int asked = primary.requests();
  other.set_labels(49, 30, 20);
  EXPECT_TRUE(f.head([&](const auto& x) { return x.endpoint() != first->endpoint() && x.safe().number() == 30; }));
  EXPECT_LE(primary.requests(), asked + 3 + (absl::Now() - start) / kTimeout) << "one head request at a time";
}

TEST(Fetcher, FollowsNobodyWhoContradictsTheConfirmedFinalizedUnlessMostDo) {
  const auto chain = make_chain(60);
  const auto foreign = make_chain(80, 10'000, 5);
  FakeNode honest{chain}, lying{foreign};
  Fetcher f{config_for(chain), {&lying, &honest}};
  f.until_ready(0);
  f.until_ready(1);
  const auto s =
      f.head([&](const auto& x) { return x.unsafe().number() == 59 && !x.contradicts_finalized(); }, id(chain[10]));
  ASSERT_TRUE(s);
  EXPECT_EQ(s->finalized_hold(), v1::HOLD_QUORUM_LOST) << "one of two has a vote";
  EXPECT_EQ(f.endpoint(0).reason_code(), "source_other_branch");
  EXPECT_EQ(f.endpoint(0).integrity_failures() + f.endpoint(1).integrity_failures(), 0U)
      << "one's word against another's";
}

TEST(Fetcher, SaysThatEverybodyContradictsTheConfirmedFinalized) {
  const auto chain = make_chain(60);
  const auto foreign = make_chain(80, 10'000, 5);
  FakeNode only{foreign};
  Fetcher f{config_for(chain), {&only}};
  EXPECT_TRUE(f.head([&](const auto& x) { return x.contradicts_finalized(); }, id(chain[10])));
  EXPECT_EQ(f.endpoint(0).integrity_failures(), 0U);
}

TEST(Fetcher, SaysWhoHasWhichBlockAndWhatMostHave) {
  const auto chain = make_chain(60);
  const auto foreign = make_chain(80, 10'000, 20);
  FakeNode honest{chain}, cl{chain, true}, lying{foreign}, hung{chain};
  Fetcher f{config_for(chain), {&honest, &cl, &lying, &hung}};
  for (std::size_t i = 0; i < 4; ++i) f.until_ready(i);
  const auto compare = [&](std::vector<std::uint64_t> numbers) {
    grpc::ClientContext ctx;
    v1::CompareEndpointsRequest req;
    for (const std::uint64_t n : numbers) req.add_numbers(n);
    v1::CompareEndpointsResponse resp;
    const grpc::Status st = f.heads->CompareEndpoints(&ctx, req, &resp);
    EXPECT_TRUE(st.ok()) << st.error_message();
    return resp;
  };
  const auto blocks = [](const auto& list) {
    std::vector<eth::BlockId> out;
    for (const auto& b : list) out.push_back(*wire::from_proto(b));
    return out;
  };
  const std::vector<eth::BlockId> ours{id(chain[10]), id(chain[30])}, theirs{id(foreign[10]), id(foreign[30])};
  const auto all = compare({30, 10, 30, 70});
  ASSERT_EQ(all.endpoints_size(), 4);
  EXPECT_EQ(all.groups(), 4U);
  for (const int i : {0, 1, 3}) {
    EXPECT_EQ(blocks(all.endpoints(i).blocks()), ours) << i;
    EXPECT_EQ(all.endpoints(i).silence(), "");
    EXPECT_EQ(all.endpoints(i).group(), absl::StrCat("group", i));
  }
  EXPECT_EQ(blocks(all.endpoints(2).blocks()), (std::vector<eth::BlockId>{theirs[0], theirs[1], id(foreign[70])}));
  EXPECT_EQ(blocks(all.majority()), ours) << "three of four";
  hung.faults.hang = true;
  const auto some = compare({10, 30});
  EXPECT_NE(some.endpoints(3).silence(), "");
  EXPECT_TRUE(some.endpoints(3).blocks().empty());
  EXPECT_EQ(blocks(some.majority()), std::vector<eth::BlockId>{ours[0]}) << "the silent one counts as configured";
  hung.faults.hang = false;
  grpc::ClientContext ctx;
  v1::CompareEndpointsResponse resp;
  EXPECT_EQ(f.heads->CompareEndpoints(&ctx, {}, &resp).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST(Fetcher, RefusesAnotherChain) {
  const auto chain = make_chain(30);
  FakeNode wrong_id{chain}, wrong_genesis{make_chain(30, 10'000, 0)}, wrong_cl{chain, true}, good{chain};
  wrong_id.faults.chain_id = 10;
  wrong_cl.faults.chain_id = 10;
  Fetcher f{config_for(chain), {&wrong_id, &wrong_genesis, &wrong_cl, &good}};
  for (std::size_t i = 0; i < 3; ++i) {
    f.eventually("refused", [&] { return f.endpoint(i).state() == v1::ENDPOINT_STATE_REJECTED; });
    EXPECT_THAT(f.endpoint(i).reason(), HasSubstr("another chain"));
  }
  f.until_ready(3);
  expect_chain(f.stream(id(chain[0]), id(chain[29])), chain, 1, 29);
  EXPECT_THAT(f.metrics(), HasSubstr("towline_fetcher_rejected_endpoints_total"));
}

TEST(Fetcher, UncordonOfARefusedEndpointSaysWhyAndProbesIt) {
  const auto chain = make_chain(30);
  FakeNode node{chain};
  node.faults.chain_id = 10;
  Fetcher f{config_for(chain), {&node}};
  f.eventually("refused", [&] { return f.endpoint(0).state() == v1::ENDPOINT_STATE_REJECTED; });
  v1::UncordonEndpointRequest request;
  request.set_name(f.endpoint(0).name());
  v1::UncordonEndpointResponse response;
  node.faults.chain_id = 901;
  {
    grpc::ClientContext ctx;
    const grpc::Status st = f.heads->UncordonEndpoint(&ctx, request, &response);
    EXPECT_EQ(st.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    EXPECT_THAT(st.error_message(), HasSubstr("another chain"));
  }
  f.until_ready(0);
  grpc::ClientContext ctx;
  EXPECT_TRUE(f.heads->UncordonEndpoint(&ctx, request, &response).ok());
}

TEST(Fetcher, EveryCounterIsThereFromTheStart) {
  const auto chain = make_chain(30);
  FakeNode node{chain};
  node.faults.hang = true;
  Fetcher f{config_for(chain), {&node}};
  f.eventually("its poller has begun", [&] { return node.requests() > 0; });
  const std::string metrics = f.metrics();
  for (const char* name : {"integrity_failures_total", "other_branch_total", "rejected_endpoints_total",
                           "received_bytes_total", "snapshots_dropped_total", "blocks_total", "bodies_refetched_total"})
    EXPECT_THAT(metrics, ::testing::ContainsRegex(absl::StrCat("\ntowline_fetcher_", name, ".* 0\n"))) << name;
  for (const char* result : {"ok", "timeout", "too_large", "malformed"})
    EXPECT_THAT(metrics, HasSubstr(absl::StrCat("result=\"", result, "\"} 0\n"))) << result;
  node.faults.hang = false;
}

TEST(Fetcher, NoticesThatAUrlLeadsToAnotherChainAfterAnOutage) {
  const auto chain = make_chain(30);
  FakeNode node{chain};
  Fetcher f{config_for(chain), {&node}};
  f.until_ready(0);
  node.faults.html = true;
  f.eventually("it failed", [&] { return f.endpoint(0).errors() > 0; });
  node.faults.chain_id = 10;
  node.faults.html = false;
  f.eventually("refused", [&] { return f.endpoint(0).state() == v1::ENDPOINT_STATE_REJECTED; });
}

TEST(Fetcher, ALieInABodyIsFoundAndAnotherIsAsked) {
  const auto chain = make_chain(120);
  for (const bool raw : {false, true}) {
    FakeNode lying{chain}, honest{chain};
    lying.faults.raw = honest.faults.raw = raw;
    Fetcher f{config_for(chain), {&lying, &honest}};
    f.until_ready(0);
    f.until_ready(1);
    lying.faults.lie_in_body = true;
    const auto got = f.stream(id(chain[0]), id(chain[119]));
    expect_chain(got, chain, 1, 119);
    EXPECT_EQ(got.endpoints, std::set<std::string>{f.endpoint(1).name()});
    EXPECT_EQ(f.endpoint(0).integrity_failures(), 1U);
    EXPECT_EQ(f.endpoint(0).state(), v1::ENDPOINT_STATE_QUARANTINED);
    EXPECT_THAT(f.evidence(), HasSubstr("transaction"));
    grpc::ClientContext ctx;
    v1::UncordonEndpointRequest req;
    v1::UncordonEndpointResponse resp;
    req.set_name(f.endpoint(0).name());
    EXPECT_TRUE(f.heads->UncordonEndpoint(&ctx, req, &resp).ok());
    EXPECT_NE(f.endpoint(0).state(), v1::ENDPOINT_STATE_QUARANTINED);
  }
}

TEST(Fetcher, ALieInAHeaderIsFoundAndAnotherIsAsked) {
  const auto chain = make_chain(120);
  FakeNode lying{chain}, honest{chain};
  Fetcher f{config_for(chain), {&lying, &honest}};
  f.until_ready(0);
  f.until_ready(1);
  lying.faults.lie_in_header = true;
  expect_chain(f.stream(id(chain[0]), id(chain[119])), chain, 1, 119);
  f.eventually("quarantined", [&] { return f.endpoint(0).state() == v1::ENDPOINT_STATE_QUARANTINED; });
  f.eventually("evidence is kept", [&] { return f.evidence().find("hash") != std::string::npos; });
}

TEST(Fetcher, WhatEverybodyFailsIsAnUnknownRuleAndNobodyIsCharged) {
  const auto chain = make_chain(40);
  FakeNode a{chain}, b{chain};
  Fetcher f{config_for(chain), {&a, &b}};
  f.until_ready(0);
  f.until_ready(1);
  a.faults.lie_in_body = b.faults.lie_in_body = true;
  const auto got = f.stream(id(chain[0]), id(chain[39]));
  EXPECT_EQ(got.status.error_code(), grpc::StatusCode::UNAVAILABLE) << got.status.error_message();
  EXPECT_TRUE(got.payloads.empty());
  const auto s = f.head([](const auto& x) { return !x.unknown_rules().empty(); });
  ASSERT_TRUE(s);
  EXPECT_THAT(s->unknown_rules(), HasSubstr("transaction"));
  EXPECT_EQ(f.endpoint(0).integrity_failures() + f.endpoint(1).integrity_failures(), 0U);
  a.faults.lie_in_body = b.faults.lie_in_body = false;
  expect_chain(f.stream(id(chain[0]), id(chain[39])), chain, 1, 39);
  EXPECT_TRUE(f.head([](const auto& x) { return x.unknown_rules().empty(); })) << "it heals by itself";
}

TEST(Fetcher, AWholeForeignBranchIsNotFollowed) {
  const auto chain = make_chain(100);
  const auto foreign = make_chain(100, 10'000, 50);
  FakeNode other{foreign}, honest{chain};
  other.set_labels(99, 30, 20);
  honest.set_labels(99, 30, 20);
  Fetcher f{config_for(chain), {&other, &honest}};
  f.until_ready(0);
  f.until_ready(1);
  for (int i = 0; i < 3; ++i) expect_chain(f.stream(id(chain[40]), id(chain[99])), chain, 41, 99);
  // The source may be honest and right: it is asked again after a moment.
  f.until_ready(0);
  expect_chain(f.stream(id(foreign[40]), id(foreign[99])), foreign, 41, 99);
  EXPECT_EQ(f.endpoint(0).integrity_failures() + f.endpoint(1).integrity_failures(), 0U)
      << "nothing of it is below what is final";
}

TEST(Fetcher, TellsReorgsOfTheRangeApart) {
  const auto chain = make_chain(100);
  const auto foreign = make_chain(100, 10'000, 50);
  FakeNode node{chain};
  Fetcher f{config_for(chain), {&node}};
  f.until_ready(0);
  EXPECT_EQ(f.stream(id(foreign[60]), id(chain[99])).status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(f.stream(id(chain[40]), id(foreign[99])).status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(f.stream(id(chain[40]), {200, foreign[99].hash}).status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(f.stream(id(chain[40]), id(chain[40])).status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(f.endpoint(0).integrity_failures(), 0U);
}

TEST(Fetcher, FailsOverWithoutAGapWhenOneDies) {
  const auto chain = make_chain(300);
  FakeNode a{chain}, b{chain};
  a.faults.delay_ms = b.faults.delay_ms = 10;
  Fetcher f{config_for(chain), {&a, &b}};
  f.until_ready(0);
  f.until_ready(1);
  const auto got = f.stream(id(chain[0]), id(chain[299]), [&](std::size_t n) {
    if (n == 60) a.stop();
  });
  expect_chain(got, chain, 1, 299);
}

TEST(Fetcher, FailsOverWithoutAGapWhenOneHangs) {
  const auto chain = make_chain(300);
  FakeNode a{chain}, b{chain};
  Fetcher f{config_for(chain), {&a, &b}};
  f.until_ready(0);
  f.until_ready(1);
  const absl::Time start = absl::Now();
  const auto got = f.stream(id(chain[0]), id(chain[299]), [&](std::size_t n) {
    if (n == 60) a.faults.hang = true;
  });
  expect_chain(got, chain, 1, 299);
  // Successive timeouts would add up.
  EXPECT_LT(absl::Now() - start, 12 * kTimeout) << "it is left alone after its first timeout";
}

TEST(Fetcher, GoesOnWhenItsOnlySourceComesBack) {
  const auto chain = make_chain(300);
  FakeNode node{chain};
  Fetcher f{config_for(chain), {&node}};
  f.until_ready(0);
  std::thread heal;
  const auto got = f.stream(id(chain[0]), id(chain[299]), [&](std::size_t n) {
    if (n != 20) return;
    node.faults.html = true;
    heal = std::thread{[&] {
      f.eventually("it has failed", [&] { return f.endpoint(0).errors() > 0; });
      node.faults.html = false;
    }};
  });
  heal.join();
  expect_chain(got, chain, 1, 299);
}

TEST(Fetcher, ObeysRateLimits) {
  const auto chain = make_chain(100);
  for (const bool in_body : {false, true}) {
    SCOPED_TRACE(in_body ? "backoff_seconds: 1" : "Retry-After: 1");
    FakeNode node{chain};
    node.faults.rate_limit_in_body = in_body;
    Fetcher f{config_for(chain), {&node}};
    f.until_ready(0);
    node.faults.rate_limit = 1;
    f.eventually("limited", [&] { return f.endpoint(0).rate_limited() == 1; });
    expect_chain(f.stream(id(chain[0]), id(chain[99])), chain, 1, 99);
    EXPECT_LE(node.requests_after_limit(absl::Milliseconds(900)), 1) << "one may have been under way";
  }
}

TEST(Fetcher, HoldsTheRateThatItIsGiven) {
  const auto chain = make_chain(30);
  FakeNode node{chain};
  Fetcher f{config_for(chain), {&node}, {4, 40}};
  f.until_ready(0);
  const int asked = node.requests();
  const absl::Time start = absl::Now();
  expect_chain(f.stream(id(chain[0]), id(chain[29])), chain, 1, 29);
  EXPECT_LE(node.requests() - asked, 5 + static_cast<int>(absl::ToDoubleSeconds(absl::Now() - start) * (40 + 20 + 5)));
}

TEST(Fetcher, PollsLeaveBlocksTheirShareOfOneRequestASecond) {
  const auto chain = make_chain(40);
  FakeNode node{chain};
  Fetcher f{config_for(chain), {&node}, {16, 1, 0}};
  f.until_ready(0);
  expect_chain(f.stream(id(chain[0]), id(chain[39])), chain, 1, 39);
}

TEST(Fetcher, SaysWhyItsOnlySourceGivesNoHeadsAndWhyNoBlocks) {
  const auto chain = make_chain(200);
  FakeNode node{chain};
  node.faults.html = true;
  Fetcher f{config_for(chain), {&node}};
  EXPECT_EQ(f.trouble([](const auto& m) { return !m.has_snapshot(); }).code(), "source_not_json_rpc");
  EXPECT_EQ(f.endpoint(0).reason_code(), "source_not_json_rpc");
  node.faults.html = false;
  f.until_ready(0);
  node.faults.bodies_gone = true;
  // A later batch may have reported before the first one is requested.
  EXPECT_THAT(f.stream(id(chain[0]), id(chain[20])).status.error_code(),
              AnyOf(grpc::StatusCode::NOT_FOUND, grpc::StatusCode::UNAVAILABLE));
  EXPECT_EQ(f.stream(id(chain[0]), id(chain[20])).status.error_code(), grpc::StatusCode::UNAVAILABLE)
      << "it is known by now that they are gone there";
  const auto t = f.trouble([](const auto& m) { return m.has_snapshot(); });
  EXPECT_EQ(t.code(), "source_pruned");
  EXPECT_THAT(t.message(), HasSubstr("no blocks"));
  EXPECT_EQ(f.endpoint(0).reason_code(), "source_pruned");
  EXPECT_EQ(f.endpoint(0).state(), v1::ENDPOINT_STATE_READY) << "its newer blocks may be had";
}

TEST(Fetcher, LosesNoHeightToBadBatches) {
  const auto chain = make_chain(300);
  for (const char* fault : {"gaps", "413", "none"}) {
    SCOPED_TRACE(fault);
    FakeNode node{chain};
    if (fault[0] == 'g') node.faults.batch_gaps = true;
    if (fault[0] == '4') node.faults.batch_limit = 7;
    if (fault[0] == 'n') node.faults.no_batches = true;
    Fetcher f{config_for(chain), {&node}};
    f.until_ready(0);
    EXPECT_TRUE(f.head([](const auto& x) { return x.unsafe().number() == 299; }));
    expect_chain(f.stream(id(chain[0]), id(chain[299])), chain, 1, 299);
    grpc::ClientContext ctx;
    v1::GetHeadersRequest req;
    v1::GetHeadersResponse resp;
    for (const std::uint64_t n : {250U, 3U, 250U, 17U, 40U, 41U, 42U, 43U, 44U, 1000U}) req.add_numbers(n);
    ASSERT_TRUE(f.heads->GetHeaders(&ctx, req, &resp).ok());
    ASSERT_EQ(resp.headers_size(), 8) << "doubled and unknown heights are left out";
    EXPECT_EQ(resp.headers(0).number(), 3U);
    EXPECT_EQ(wire::from_proto(resp.headers(7))->hash, chain[250].hash);
    EXPECT_LT(f.endpoint(0).max_batch(), 100U);
  }
}

TEST(Fetcher, BadAnswersAreErrorsAndItIsAskedOn) {
  const auto chain = make_chain(30);
  const struct {
    const char* name;
    std::function<void(FakeNode::Faults&, bool)> set;
  } faults[] = {
      {"HTML page", [](auto& x, bool on) { x.html = on; }},
      {"truncated", [](auto& x, bool on) { x.truncate = on; }},
      {"oversized", [](auto& x, bool on) { x.oversize = on ? std::size_t{70} << 20U : 0; }},
      {"slow drip", [](auto& x, bool on) { x.slow_drip = on; }},
  };
  for (const auto& fault : faults) {
    SCOPED_TRACE(fault.name);
    FakeNode node{chain};
    Fetcher f{config_for(chain), {&node}};
    f.until_ready(0);
    fault.set(node.faults, true);
    f.eventually("an error is counted", [&] { return f.endpoint(0).errors() > 0; });
    EXPECT_THAT(f.endpoint(0).reason(), ::testing::Not(HasSubstr("<html>")));
    fault.set(node.faults, false);
    f.until_ready(0);
    expect_chain(f.stream(id(chain[0]), id(chain[29])), chain, 1, 29);
    EXPECT_EQ(f.endpoint(0).integrity_failures(), 0U);
  }
}

TEST(Fetcher, GetsPayloadsAndHeadersByHash) {
  const auto chain = make_chain(30);
  FakeNode node{chain};
  Fetcher f{config_for(chain), {&node}};
  f.until_ready(0);
  const auto get = [&](const std::string& hash, v1::GetPayloadResponse& resp) {
    grpc::ClientContext ctx;
    v1::GetPayloadRequest req;
    req.set_block_hash(hash);
    return f.payloads->GetPayload(&ctx, req, &resp).error_code();
  };
  v1::GetPayloadResponse resp;
  const auto bytes = chain[17].hash.view();
  ASSERT_EQ(get({bytes.begin(), bytes.end()}, resp), grpc::StatusCode::OK);
  EXPECT_EQ(wire::from_proto(resp.payload())->transactions, chain[17].transactions);
  EXPECT_EQ(get(std::string(32, 'x'), resp), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(get("short", resp), grpc::StatusCode::INVALID_ARGUMENT);
  grpc::ClientContext ctx;
  v1::GetHeaderByHashRequest req;
  v1::GetHeaderByHashResponse header;
  req.set_block_hash({bytes.begin(), bytes.end()});
  ASSERT_TRUE(f.heads->GetHeaderByHash(&ctx, req, &header).ok());
  EXPECT_EQ(header.header().number(), 17U);
}

TEST(Fetcher, CancellingAStreamStopsWhatIsInFlight) {
  const auto chain = make_chain(200);
  FakeNode node{chain};
  Fetcher f{config_for(chain), {&node}, {}, 2 * kHang};
  f.until_ready(0);
  node.faults.hang = true;
  grpc::ClientContext ctx;
  v1::StreamPayloadsRequest req;
  *req.mutable_parent() = wire::to_proto(id(chain[0]));
  *req.mutable_tip() = wire::to_proto(id(chain[199]));
  auto reader = f.payloads->StreamPayloads(&ctx, req);
  f.eventually("requests are in flight", [&] { return f.endpoint(0).in_flight() >= 2; });
  ctx.TryCancel();
  // Ended by the cancellation, not by a timeout. The hanging head poll may remain.
  f.eventually("they are gone", [&] { return f.endpoint(0).in_flight() <= 1; });
  reader->Finish();
}

TEST(Fetcher, StopsSoonWhileEverythingHangs) {
  const auto chain = make_chain(200);
  FakeNode node{chain};
  const absl::Time start = absl::Now();
  std::thread watcher;
  {
    Fetcher f{config_for(chain), {&node}, {}, kHang};
    f.until_ready(0);
    node.faults.hang = true;
    watcher = std::thread{[&f, &chain] { f.stream(id(chain[0]), id(chain[199])); }};
    f.eventually("requests are in flight", [&] { return f.endpoint(0).in_flight() >= 2; });
  }
  EXPECT_LT(absl::Now() - start, kHang) << "no request had to end by its timeout";
  watcher.join();
}

TEST(Fetcher, BackPressureHoldsTheStream) {
  const auto chain = make_chain(150, 0, SIZE_MAX, 20'000);  // 40 kB per block
  FakeNode node{chain};
  Fetcher f{config_for(chain), {&node}, {}, kTimeout, {}, 1U << 20U};
  f.until_ready(0);
  bool held = false;
  const auto got = f.stream(id(chain[0]), id(chain[149]), [&](std::size_t n) {
    if (n != 5) return;
    // The reader sleeps, so requests stop after a while.
    f.eventually("quiet", [&] {
      const int before = node.calls("eth_getBlockByHash");
      absl::SleepFor(absl::Milliseconds(400));
      return node.calls("eth_getBlockByHash") == before;
    });
    held = node.calls("eth_getBlockByHash") < 100;
  });
  EXPECT_TRUE(held);
  expect_chain(got, chain, 1, 149);
}

TEST(Fetcher, ManyReadersOfOneRangeCostTheSourcesAboutOne) {
  const auto chain = make_chain(200);
  FakeNode node{chain};
  Fetcher f{config_for(chain), {&node}};
  f.until_ready(0);
  std::vector<std::thread> readers;
  for (int k = 0; k < 8; ++k)
    readers.emplace_back([&] { expect_chain(f.stream(id(chain[0]), id(chain[199])), chain, 1, 199); });
  for (auto& r : readers) r.join();
  EXPECT_LE(node.calls("eth_getBlockByHash"), 199) << "each body once";
  expect_chain(f.stream(id(chain[50]), id(chain[150])), chain, 51, 150);
  EXPECT_LE(node.calls("eth_getBlockByHash"), 199);
}

TEST(Fetcher, AReaderThatLeavesTakesNobodysBodiesAlong) {
  const auto chain = make_chain(120);
  FakeNode node{chain};
  Fetcher f{config_for(chain), {&node}};
  f.until_ready(0);
  node.faults.delay_ms = 200;
  grpc::ClientContext ctx;
  v1::StreamPayloadsRequest req;
  *req.mutable_parent() = wire::to_proto(id(chain[0]));
  *req.mutable_tip() = wire::to_proto(id(chain[119]));
  auto first = f.payloads->StreamPayloads(&ctx, req);
  f.eventually("bodies are on their way", [&] { return f.endpoint(0).in_flight() >= 2; });
  std::thread second{[&] { expect_chain(f.stream(id(chain[0]), id(chain[119])), chain, 1, 119); }};
  absl::SleepFor(absl::Milliseconds(300));
  ctx.TryCancel();
  first->Finish();
  second.join();
}

std::ptrdiff_t threads() {
  const std::filesystem::directory_iterator tasks{"/proc/self/task"};
  return std::distance(begin(tasks), end(tasks));
}

TEST(Fetcher, AStreamCostsNoThread) {
  const auto chain = make_chain(150, 0, SIZE_MAX, 20'000);
  FakeNode node{chain};
  Fetcher f{config_for(chain), {&node}, {}, kTimeout, {}, 1U << 20U};
  f.until_ready(0);
  struct Call {
    grpc::ClientContext ctx;
    std::unique_ptr<grpc::ClientReader<v1::StreamPayloadsResponse>> payloads;
    std::unique_ptr<grpc::ClientReader<v1::WatchHeadsResponse>> heads;
  };
  std::vector<std::unique_ptr<Call>> calls;
  // Each has started, and waits for a reader that sleeps.
  const auto open = [&](std::size_t streams, std::size_t watches) {
    while (streams-- > 0) {
      auto& c = *calls.emplace_back(std::make_unique<Call>());
      v1::StreamPayloadsRequest req;
      *req.mutable_parent() = wire::to_proto(id(chain[0]));
      *req.mutable_tip() = wire::to_proto(id(chain[149]));
      c.payloads = f.payloads->StreamPayloads(&c.ctx, req);
      v1::StreamPayloadsResponse m;
      ASSERT_TRUE(c.payloads->Read(&m));
    }
    while (watches-- > 0) {
      auto& c = *calls.emplace_back(std::make_unique<Call>());
      c.heads = f.heads->WatchHeads(&c.ctx, {});
      v1::WatchHeadsResponse m;
      ASSERT_TRUE(c.heads->Read(&m));
    }
  };
  open(1, 1);
  const auto with_one = threads();
  open(9, 9);
  const auto with_ten = threads();
  open(22, 40);
  const auto with_all = threads();
  // gRPC starts threads of its own at any time.
  EXPECT_LE(with_ten, with_one + 4);
  EXPECT_LE(with_all, with_one + 4);
  grpc::ClientContext ctx;
  v1::StreamPayloadsRequest req;
  *req.mutable_parent() = wire::to_proto(id(chain[0]));
  *req.mutable_tip() = wire::to_proto(id(chain[1]));
  auto one_more = f.payloads->StreamPayloads(&ctx, req);
  EXPECT_EQ(one_more->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << "all places are taken";
  RecordProperty("threads_with_2_streams", static_cast<int>(with_one));
  RecordProperty("threads_with_82_streams", static_cast<int>(with_all));
  for (auto& c : calls) c->ctx.TryCancel();
}

TEST(Fetcher, CordonsAndShowsNoSecrets) {
  const auto chain = make_chain(20);
  FakeNode node{chain};
  Fetcher f{config_for(chain), {&node}, {}, kTimeout, "/v3/canary-path-4711?key=canary-query-4712"};
  f.until_ready(0);
  const std::string name = f.endpoint(0).name();
  EXPECT_THAT(name, HasSubstr("127.0.0.1:"));
  EXPECT_THAT(name, ::testing::Not(HasSubstr("canary")));
  const auto cordon = [&](const std::string& who) {
    grpc::ClientContext ctx;
    v1::CordonEndpointRequest req;
    v1::CordonEndpointResponse resp;
    req.set_name(who);
    req.set_reason("maintenance");
    return f.heads->CordonEndpoint(&ctx, req, &resp).error_code();
  };
  EXPECT_EQ(cordon("nobody"), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(cordon(name), grpc::StatusCode::OK);
  EXPECT_EQ(f.endpoint(0).state(), v1::ENDPOINT_STATE_CORDONED);
  EXPECT_EQ(f.endpoint(0).reason(), "maintenance");
  EXPECT_EQ(f.stream(id(chain[0]), id(chain[19])).status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(f.metrics(), ::testing::Not(HasSubstr("canary")));
}

}  // namespace
}  // namespace towline::fetcher
