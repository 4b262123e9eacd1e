// The writer over real HTTP, with an EL that dies in the middle of an import and restarts unchanged or at a lower
// block.
#include "services/engine-driver/actors/writer.hpp"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <condition_variable>
#include <filesystem>
#include <future>
#include <mutex>
#include <thread>

#include <nlohmann/json.hpp>

#include "libs/actor_kit/terminator.hpp"
#include "libs/base/hex.hpp"
#include "libs/sim/el_model.hpp"
#include "services/engine-driver/actors/payload_calls.hpp"
#include "tests/support/hang.hpp"

namespace towline::driver {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

Hash32 hash(std::uint64_t n) {
  Hash32 h;
  for (unsigned i = 0; i < 8; ++i) h.bytes[i] = static_cast<std::uint8_t>(n >> (8U * i));
  h.bytes[31] = 1;
  return h;
}
eth::BlockRef ref(std::uint64_t n) { return {n, hash(n), n == 0 ? Hash32{} : hash(n - 1), 1000 + n * 2}; }
eth::BlockId id(std::uint64_t n) { return ref(n).id(); }

/// The Engine API of a simulated EL. At a chosen call the EL is killed: this call and all later ones get no answer, and
/// the port closes soon, until the test restarts the EL on the same port.
class FakeEl {
 public:
  enum class Dies { before, after };  // relative to applying the call

  explicit FakeEl(sim::ElProfile profile) : el_{profile, ref(0)} { listen(); }
  ~FakeEl() { close(); }

  std::string url() const { return absl::StrCat("http://127.0.0.1:", port_); }
  /// Extends the chain to `head`, and registers all blocks that a test imports later.
  void grow(std::uint64_t head, std::uint64_t safe, std::uint64_t finalized) {
    for (std::uint64_t n = 1; n <= head; ++n) {
      el_.new_payload(ref(n));
      el_.forkchoice_updated(hash(n), {}, {});
    }
    el_.forkchoice_updated(hash(head), hash(safe), hash(finalized));
  }
  void dies_at(const std::string& call, Dies when) {
    fatal_ = call;
    when_ = when;
  }
  void is_an_ordinary_rpc() { ordinary_ = true; }
  /// As under a supervisor that restarts at once: the port never closes.
  void comes_back_at_once() { at_once_ = true; }
  void wait_until_it_died() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return gone_; });
  }
  /// SIGKILL and restart, without a lost call.
  void restart() {
    const std::lock_guard lock{mutex_};
    el_.kill();
    calls_.clear();
  }
  void come_back() {
    close();
    {
      const std::lock_guard lock{mutex_};
      gone_ = false;
      calls_.clear();
    }
    listen();
  }
  /// The calls since the last restart: "labels", "newPayload 5", "forkchoice 5", or the name of the method.
  std::vector<std::string> calls() {
    const std::lock_guard lock{mutex_};
    return calls_;
  }
  eth::BlockRef latest() {
    const std::lock_guard lock{mutex_};
    return el_.latest();
  }

 private:
  void listen() {
    server_ = std::make_unique<httplib::Server>();
    server_->set_keep_alive_timeout(1);
    server_->set_keep_alive_max_count(100'000);
    server_->set_tcp_nodelay(true);
    server_->Post("/", [this](const httplib::Request& req, httplib::Response& res) { serve(req, res); });
    if (port_ == 0) port_ = server_->bind_to_any_port("127.0.0.1");
    else ASSERT_TRUE(server_->bind_to_port("127.0.0.1", port_));
    thread_ = std::thread{[this] { server_->listen_after_bind(); }};
    while (!server_->is_running()) std::this_thread::yield();
  }
  void close() {
    server_->stop();
    thread_.join();
  }

  void serve(const httplib::Request& req, httplib::Response& res) {
    const std::lock_guard lock{mutex_};
    const json request = json::parse(req.body);
    std::optional<json> answer;
    if (!gone_) {
      const std::string call = name_of(request);
      calls_.push_back(call);
      const bool dies = call == fatal_;
      if (!dies || when_ == Dies::after) answer = answer_to(request);
      if (dies) {
        answer.reset();
        fatal_.clear();
        el_.kill();
        gone_ = !at_once_;
        if (at_once_) calls_.clear();
        changed_.notify_all();
      }
    }
    if (answer) return res.set_content(answer->dump(), "application/json");
    // A broken connection: the body is shorter than its Content-Length.
    res.set_content_provider(2, "application/json", [](std::size_t, std::size_t, httplib::DataSink&) { return false; });
  }

  static std::string name_of(const json& request) {
    if (request.is_array()) return "labels";
    const std::string method = request["method"];
    if (absl::StrContains(method, "newPayload"))
      return absl::StrCat("newPayload ", *parse_quantity(std::string{request["params"][0]["blockNumber"]}));
    if (absl::StrContains(method, "forkchoiceUpdated") && !request["params"].empty()) {
      const auto head = parse_fixed_hex<32>(std::string{request["params"][0]["headBlockHash"]});
      return absl::StrCat("forkchoice ", head->bytes[0] + 256 * head->bytes[1]);
    }
    return method;
  }

  json answer_to(const json& request) {
    if (request.is_array()) {
      json out = json::array();
      for (const auto& call : request) out.push_back(answer_to(call));
      return out;
    }
    const std::string method = request["method"];
    const json& params = request["params"];
    json out = {{"jsonrpc", "2.0"}, {"id", request["id"]}};
    const auto status = [](const sim::ElAnswer& a) { return json{{"status", sim::name(a.status)}}; };
    if (method == "eth_getBlockByNumber") {
      const std::string tag = params[0];
      out["result"] = block(tag == "latest"      ? el_.latest()
                            : tag == "safe"      ? el_.safe()
                            : tag == "finalized" ? el_.finalized()
                                                 : el_.by_number(*parse_quantity(tag)));
    } else if (method == "debug_setHead") {
      // op-reth accepts the call and does nothing.
      el_.set_head(*parse_quantity(std::string{params[0]}));
      out["result"] = nullptr;
    } else if (method == "engine_getClientVersionV1") {
      // Like op-reth: a code outside the spec's list cannot be parsed.
      const std::string code = params[0]["code"];
      if (code == "LH" || code == "PM" || code == "TK") {
        out["result"] = {{{"code", "RH"}, {"name", "op-reth"}, {"version", "v1.10.2"}, {"commit", "0x00000000"}}};
      } else {
        out["error"] = {{"code", -32602}, {"message", "unknown client code"}};
      }
    } else if (ordinary_ && absl::StartsWith(method, "engine_")) {
      out["error"] = {{"code", -32601}, {"message", "the method does not exist"}};
    } else if (method == "engine_exchangeCapabilities") {
      out["result"] = json::array({"engine_newPayloadV4", "engine_forkchoiceUpdatedV3"});
    } else if (absl::StrContains(method, "newPayload")) {
      out["result"] = status(el_.new_payload(ref(*parse_quantity(std::string{params[0]["blockNumber"]}))));
    } else {
      const auto label = [&](const char* key) { return *parse_fixed_hex<32>(std::string{params[0][key]}); };
      const sim::ElAnswer a =
          el_.forkchoice_updated(label("headBlockHash"), label("safeBlockHash"), label("finalizedBlockHash"));
      if (a.error_code != 0) out["error"] = {{"code", a.error_code}, {"message", a.message}};
      else out["result"] = {{"payloadStatus", status(a)}};
    }
    return out;
  }
  static json block(const std::optional<eth::BlockRef>& b) {
    if (!b) return nullptr;
    return {{"number", to_quantity(b->number)},
            {"hash", to_hex(b->hash.view())},
            {"parentHash", to_hex(b->parent_hash.view())},
            {"timestamp", to_quantity(b->timestamp)}};
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  sim::ElModel el_;
  std::vector<std::string> calls_;
  std::string fatal_;
  Dies when_ = Dies::before;
  bool at_once_ = false;
  bool ordinary_ = false;
  bool gone_ = false;
  std::unique_ptr<httplib::Server> server_;
  int port_ = 0;
  std::thread thread_;
};

/// The blocks after a parent. The test's callbacks run before or after each.
struct AroundPayload {
  std::function<void(std::uint64_t)> before, after;
};
class Blocks final : public PayloadStream {
 public:
  Blocks(std::uint64_t parent, const AroundPayload& around) : next_{parent + 1}, around_{around} {}
  void next(Done done) override {
    const std::uint64_t n = next_++;
    if (around_.before) around_.before(n);
    PreparedPayload p;
    p.ref = ref(n);
    p.body = json{{"jsonrpc", "2.0"},
                  {"id", 0},
                  {"method", "engine_newPayloadV4"},
                  {"params", {{{"blockNumber", to_quantity(n)}, {"blockHash", to_hex(hash(n).view())}}}}}
                 .dump();
    done(std::move(p));
    if (around_.after) around_.after(n);
  }

 private:
  std::uint64_t next_;
  const AroundPayload& around_;
};

/// A writer with its engine and store on real threads, about to tow an EL at 300 (safe 290, finalized 280) to 400.
class WriterTest : public ::testing::Test {
 protected:
  ~WriterTest() override { end(); }
  void start(sim::ElProfile profile, SessionOptions options = {}) {
    end();
    el_ = std::make_unique<FakeEl>(profile);
    el_->grow(300, 290, 280);
    std::filesystem::remove_all(absl::StrCat(::testing::TempDir(), "/writer-test-", getpid()));
    auto file = StateFile::open(absl::StrCat(::testing::TempDir(), "/writer-test-", getpid()));
    ASSERT_TRUE(file.ok()) << file.status();
    file_ = *std::move(file);
    engine_ = std::make_unique<EngineClient>(
        EngineClient::Options{el_->url(), {}, admin_ ? el_->url() : "", absl::Minutes(2)}, metrics_);
    options.can_rewind = engine_->can_rewind();
    contract::EngineState ready;
    ready.status = status_;
    show(persistent_, ready);
    latest_ = std::make_unique<Published<Shown>>(Shown{ready, absl::InfinitePast()});
    const auto blocking = actors_.add(system_.spawn<caf::detached>(engine, engine_.get()));
    const auto calls = actors_.add(system_.spawn(payload_calls, engine_.get(), blocking));
    const auto store = actors_.add(system_.spawn<caf::detached>(state_store, file_.get()));
    hub_ = actors_.add(system_.spawn(state_hub, latest_.get()));
    writer_ = actors_.add(system_.spawn(
        writer,
        WriterConfig{options, Gate{persistent_}, MinAge{}, ready, calls, store, *hub_,
                     [this](const OpenPayloads& e) { return std::make_unique<Blocks>(e.parent.number, around_); },
                     &metrics_}));
  }
  /// Ends the actors and releases the file.
  void end() {
    if (engine_) engine_->stop(absl::ZeroDuration());
    actors_.end(system_);
    engine_.reset();
    file_.reset();
  }
  absl::StatusOr<contract::CommandResult> run(Command c) {
    auto done = std::make_shared<std::promise<absl::StatusOr<contract::CommandResult>>>();
    c.on_done = [done](absl::StatusOr<contract::CommandResult> r) { done->set_value(std::move(r)); };
    caf::anon_send(*writer_, run_atom{}, std::make_shared<const Command>(std::move(c)));
    return done->get_future().get();
  }
  absl::StatusOr<contract::CommandResult> import() {
    return run({{"test", 1, hash(300)}, contract::ImportRange{id(300), id(400), id(390), id(380)}, {}, {}});
  }
  absl::StatusOr<contract::CommandResult> lower(const eth::BlockId& was, const eth::BlockId& to) {
    return run({{}, LowerFinalized{was, to, "because"}, {}, {}});
  }
  /// The state that watchers see now.
  contract::EngineState state() {
    auto told = std::make_shared<std::promise<contract::EngineState>>();
    const auto subscriber = std::make_shared<const StateSubscriber>(
        StateSubscriber{[told, first = std::make_shared<bool>(true)](const contract::EngineState& s) {
                          if (std::exchange(*first, false)) told->set_value(s);
                        },
                        [] {}});
    caf::anon_send(*hub_, join_atom{}, subscriber);
    contract::EngineState s = told->get_future().get();
    caf::anon_send(*hub_, leave_atom{}, subscriber);
    return s;
  }
  /// A look as engine_poller does it.
  void look() {
    caf::scoped_actor self{system_};
    Look look;
    self->request(*writer_, caf::infinite, plan_atom{})
        .receive([&](const LookPlanPtr& plan) { look.plan = *plan; }, [](const caf::error&) {});
    look.labels = *engine_->labels();
    caf::anon_send(*writer_, look_atom{}, std::make_shared<const Look>(look));
  }
  /// Runs the import while the EL dies and restarts.
  absl::StatusOr<contract::CommandResult> import_over_a_restart() {
    auto result = std::async(std::launch::async, [this] { return import(); });
    el_->wait_until_it_died();
    el_->come_back();
    return result.get();
  }
  static std::vector<std::string> writes(const std::vector<std::string>& calls) {
    std::vector<std::string> out;
    std::copy_if(calls.begin(), calls.end(), std::back_inserter(out), [](const auto& c) { return c != "labels"; });
    return out;
  }

  Metrics metrics_;
  Persistent persistent_;
  bool admin_ = false;
  contract::EngineStatus status_ = contract::EngineStatus::ready;
  AroundPayload around_;
  std::unique_ptr<FakeEl> el_;
  std::unique_ptr<StateFile> file_;
  std::unique_ptr<EngineClient> engine_;
  std::unique_ptr<Published<Shown>> latest_;
  caf::actor_system_config config_;
  caf::actor_system system_{config_};
  std::optional<state_hub_actor> hub_;
  std::optional<writer_actor> writer_;
  Terminator actors_;
};

TEST_F(WriterTest, ImportsARange) {
  start(sim::ElProfile::op_geth);
  const auto r = import();
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->outcome, contract::Outcome::done) << r->reason;
  EXPECT_EQ(el_->latest(), ref(400));
  EXPECT_EQ(r->labels.safe->id(), id(390));
  EXPECT_EQ(r->labels.finalized->id(), id(380));
}

TEST_F(WriterTest, AnElThatCameBackLowerIsReadAndNotWrittenTo) {
  for (const char* call : {"newPayload 301", "newPayload 350", "forkchoice 332", "forkchoice 400"}) {
    for (const auto when : {FakeEl::Dies::before, FakeEl::Dies::after}) {
      SCOPED_TRACE(absl::StrCat("killed at ", call, when == FakeEl::Dies::before ? "" : ", which was applied"));
      start(sim::ElProfile::op_geth);
      el_->dies_at(call, when);
      const auto r = import_over_a_restart();
      ASSERT_TRUE(r.ok()) << r.status();
      EXPECT_EQ(r->outcome, contract::Outcome::engine_unavailable) << r->reason;
      EXPECT_THAT(r->reason, HasSubstr("came back"));
      EXPECT_LT(el_->latest().number, 300U);
      EXPECT_EQ(r->labels.unsafe, el_->latest()) << "the coordinator decides on what there is now";
      EXPECT_THAT(el_->calls(), Contains("labels"));
      EXPECT_THAT(writes(el_->calls()), IsEmpty());
      EXPECT_EQ(state().engine_session, 1U) << "another life of the EL";
    }
  }
}

TEST_F(WriterTest, AnElThatCameBackAsItWasIsReadAndThePayloadSentAgain) {
  start(sim::ElProfile::op_reth);
  el_->dies_at("newPayload 350", FakeEl::Dies::before);
  const auto r = import_over_a_restart();
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->outcome, contract::Outcome::done) << r->reason;
  EXPECT_EQ(el_->latest(), ref(400));
  ASSERT_GE(el_->calls().size(), 2U);
  EXPECT_EQ(el_->calls()[0], "labels") << "the first that it is asked";
  EXPECT_EQ(el_->calls()[1], "newPayload 350");
}

TEST_F(WriterTest, AnUpdateWhoseAnswerWasLostIsNotSentAgain) {
  start(sim::ElProfile::op_reth);
  el_->dies_at("forkchoice 332", FakeEl::Dies::after);
  const auto r = import_over_a_restart();
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->outcome, contract::Outcome::done) << r->reason;
  EXPECT_EQ(el_->calls()[0], "labels");
  EXPECT_THAT(el_->calls(), Not(Contains("forkchoice 332")));
}

TEST_F(WriterTest, WhatWasImportedIsNotMadeTheHeadOfAnElThatCameBackLower) {
  SessionOptions once;
  once.give_up_after = absl::ZeroDuration();
  start(sim::ElProfile::op_geth, once);
  el_->dies_at("newPayload 350", FakeEl::Dies::before);
  el_->comes_back_at_once();
  const auto r = import();
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->outcome, contract::Outcome::engine_unavailable) << r->reason;
  EXPECT_THAT(writes(el_->calls()), IsEmpty());
}

TEST_F(WriterTest, WhatWasImportedIsTheHeadWhenTheDriverIsToldToStop) {
  start(sim::ElProfile::op_geth);
  around_.after = [&](std::uint64_t n) {
    if (n != 350) return;
    engine_->stop(towline::testing::kHang);
    caf::anon_send(*writer_, stop_atom{});
  };
  const auto r = import();
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->outcome, contract::Outcome::cancelled) << r->reason;
  EXPECT_EQ(el_->latest(), ref(350)) << "the payload that came with the signal, too";
  EXPECT_EQ(r->labels.unsafe, ref(350));
  EXPECT_TRUE(absl::IsCancelled(import().status())) << "no command begins any more";
}

TEST_F(WriterTest, AnElThatDoesNotAnswerHoldsNoStopUp) {
  start(sim::ElProfile::op_geth);
  engine_->stop(absl::ZeroDuration());
  EXPECT_TRUE(absl::IsCancelled(engine_->labels().status()));
  EXPECT_EQ(engine_->forkchoice_updated({id(300), {}, {}}).kind, EngineAnswer::Kind::transport);
}

TEST_F(WriterTest, AnElThatRefusesUnknownClientCodesIsRecognised) {
  start(sim::ElProfile::op_reth);
  EXPECT_EQ(engine_->client_version(), "op-reth/v1.10.2");
}

TEST_F(WriterTest, AnOrdinaryRpcIsNamed) {
  start(sim::ElProfile::op_geth);
  EXPECT_TRUE(engine_->capabilities().ok());
  el_->is_an_ordinary_rpc();
  const auto has = engine_->capabilities();
  EXPECT_TRUE(absl::IsFailedPrecondition(has.status())) << has.status();
  EXPECT_THAT(std::string{has.status().message()}, HasSubstr("not its ordinary RPC"));
}

TEST_F(WriterTest, WhatCannotBeSavedIsNotDone) {
  start(sim::ElProfile::op_geth);
  // A directory blocks the path of the temporary file that save() writes.
  const std::string in_the_way = absl::StrCat(::testing::TempDir(), "/writer-test-", getpid(), "/state.json.new");
  ASSERT_TRUE(std::filesystem::create_directories(in_the_way));
  const auto refused = import();
  EXPECT_TRUE(absl::IsUnavailable(refused.status())) << refused.status();
  EXPECT_EQ(state().status, contract::EngineStatus::state_not_saved);
  EXPECT_EQ(state().term, 0U) << "it does not count";
  EXPECT_FALSE(file_->check().ok());
  EXPECT_TRUE(absl::IsUnavailable(import().status())) << "nothing until it can be saved";
  EXPECT_THAT(writes(el_->calls()), Not(Contains(StartsWith("newPayload"))));
  std::filesystem::remove(in_the_way);
  EXPECT_TRUE(file_->check().ok());
  look();
  const auto r = import();
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->outcome, contract::Outcome::done) << r->reason;
}

TEST_F(WriterTest, ADiskThatFillsUpInTheMiddleEndsTheImport) {
  start(sim::ElProfile::op_geth);
  const std::string in_the_way = absl::StrCat(::testing::TempDir(), "/writer-test-", getpid(), "/state.json.new");
  around_.before = [&](std::uint64_t next) {
    if (next == 350) std::filesystem::create_directories(in_the_way);
  };
  const auto r = import();
  std::filesystem::remove(in_the_way);
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->outcome, contract::Outcome::engine_unavailable) << r->reason;
  EXPECT_EQ(state().status, contract::EngineStatus::state_not_saved);
  EXPECT_FALSE(state().confirmed_finalized) << "what is not on disk does not count";
  EXPECT_THAT(writes(el_->calls()).back(), "forkchoice 396") << "no label after the one that could not be saved";
}

TEST_F(WriterTest, AnElOffTheConfirmedFinalizedKeepsItsFinalized) {
  persistent_ = {"test", 1, eth::BlockId{100, hash(999)}};
  start(sim::ElProfile::op_geth);
  const auto r = import();
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->outcome, contract::Outcome::contradicts_finalized) << r->reason;
  EXPECT_EQ(state().status, contract::EngineStatus::contradicts_finalized);
  EXPECT_EQ(r->labels.finalized->id(), id(280)) << "not carried along";
  EXPECT_TRUE(absl::IsUnavailable(import().status())) << "nothing is written to such an EL";
  end();
  auto file = StateFile::open(absl::StrCat(::testing::TempDir(), "/writer-test-", getpid()));
  ASSERT_TRUE(file.ok());
  const auto kept = (*file)->load({});
  ASSERT_TRUE(kept.ok());
  EXPECT_EQ(kept->confirmed_finalized, std::nullopt) << "nor overwritten on disk";
}

TEST(StateFile, OfAnotherChainIsRefused) {
  const std::string dir = absl::StrCat(::testing::TempDir(), "/state-file-test-", getpid());
  std::filesystem::remove_all(dir);
  auto file = StateFile::open(dir);
  ASSERT_TRUE(file.ok()) << file.status();
  const ChainIdentity ours{10, hash(1)};
  auto p = (*file)->load(ours);
  ASSERT_TRUE(p.ok()) << p.status();
  ASSERT_TRUE((*file)->save(*p).ok());
  EXPECT_TRUE((*file)->load(ours).ok());
  for (const ChainIdentity& other : {ChainIdentity{11, hash(1)}, ChainIdentity{10, hash(2)}}) {
    const auto refused = (*file)->load(other);
    EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
    EXPECT_THAT(std::string{refused.status().message()}, HasSubstr("--data-dir of its own"));
  }
  // A file of an older version has no chain.
  ASSERT_TRUE((*file)->save({"single", 3, id(5)}).ok());
  p = (*file)->load(ours);
  ASSERT_TRUE(p.ok()) << p.status();
  EXPECT_EQ(p->chain, ours);
  EXPECT_EQ(p->term, 3U);
}

TEST_F(WriterTest, ARestartWhileTheSourceIsWaitedForIsSeen) {
  SessionOptions careful;
  careful.restart_takes = absl::ZeroDuration();
  start(sim::ElProfile::op_geth, careful);
  around_.before = [&](std::uint64_t next) {
    if (next == 350) el_->restart();
  };
  const auto r = import();
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->outcome, contract::Outcome::engine_unavailable) << r->reason;
  EXPECT_THAT(writes(el_->calls()), IsEmpty());
}

TEST_F(WriterTest, WhatWasFinalIsLoweredByHandOrByDebugSetHead) {
  struct Row {
    const char* name;
    sim::ElProfile profile;
    bool admin;
    contract::Outcome outcome;
    std::uint64_t head;
  };
  for (const Row& row :
       {Row{"op-geth", sim::ElProfile::op_geth, true, contract::Outcome::done, 200},
        Row{"op-geth without its ordinary RPC", sim::ElProfile::op_geth, false, contract::Outcome::not_applied, 300},
        Row{"op-reth", sim::ElProfile::op_reth, true, contract::Outcome::not_applied, 300}}) {
    SCOPED_TRACE(row.name);
    persistent_ = {"test", 1, id(280)};
    admin_ = row.admin;
    start(row.profile);
    const std::uint64_t session = state().engine_session;
    const auto r = lower(id(280), id(200));
    ASSERT_TRUE(r.ok()) << r.status();
    EXPECT_EQ(r->outcome, row.outcome) << r->reason;
    EXPECT_EQ(r->labels.unsafe, ref(row.head));
    EXPECT_EQ(el_->latest(), ref(row.head));
    const contract::EngineState s = state();
    EXPECT_EQ(s.confirmed_finalized, id(200));
    EXPECT_EQ(s.term, 1U);
    EXPECT_GT(s.engine_session, session) << "the coordinator begins again";
    const auto on_disk = file_->load({901, {}});
    ASSERT_TRUE(on_disk.ok()) << on_disk.status();
    EXPECT_EQ(on_disk->confirmed_finalized, id(200));
    if (row.outcome != contract::Outcome::done) continue;
    // The same request again, as from a slower second operator.
    EXPECT_EQ(lower(id(280), id(200))->refusal, contract::Refusal::not_final);
  }
}

TEST_F(WriterTest, OnlyToABlockOfTheElsOwnChain) {
  persistent_ = {"test", 1, id(280)};
  admin_ = true;
  start(sim::ElProfile::op_geth);
  eth::BlockId beside = id(200);
  beside.hash.bytes[20] = 1;
  EXPECT_EQ(lower(id(280), beside)->refusal, contract::Refusal::not_canonical);
  EXPECT_EQ(state().confirmed_finalized, id(280));
  EXPECT_EQ(el_->latest(), ref(300));
}

TEST_F(WriterTest, AnElOffTheConfirmedFinalizedIsUsedAgainWhenTheConfirmedFinalizedWasWrong) {
  eth::BlockId wrong = id(280);
  wrong.hash.bytes[20] = 1;
  persistent_ = {"test", 1, wrong};
  status_ = contract::EngineStatus::contradicts_finalized;
  start(sim::ElProfile::op_reth);
  const auto r = lower(wrong, id(280));
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->outcome, contract::Outcome::done) << r->reason;
  EXPECT_EQ(state().status, contract::EngineStatus::ready);
  EXPECT_EQ(state().confirmed_finalized, id(280));
  EXPECT_EQ(import()->outcome, contract::Outcome::done);
}

}  // namespace
}  // namespace towline::driver
