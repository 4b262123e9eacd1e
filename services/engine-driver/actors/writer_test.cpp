// The writer over real HTTP against an EL that goes away in the middle of an import and comes back, as it was or lower.
#include "services/engine-driver/actors/writer.hpp"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <condition_variable>
#include <filesystem>
#include <future>
#include <mutex>
#include <thread>

#include <nlohmann/json.hpp>

#include "libs/base/hex.hpp"
#include "libs/sim/el_model.hpp"
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

/// The Engine API of a simulated EL. At a call that the test chooses it is killed: that call and all that follow have
/// no answer, and soon nobody listens any more, until the test starts it again on the same port.
class FakeEl {
 public:
  enum class Dies { before, after };  // the call is applied

  explicit FakeEl(sim::ElProfile profile) : el_{profile, ref(0)} { listen(); }
  ~FakeEl() { close(); }

  std::string url() const { return absl::StrCat("http://127.0.0.1:", port_); }
  /// Its chain up to `head`; everything is known that a test imports later.
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
  /// As a supervisor does it at once: the port never closes.
  void comes_back_at_once() { at_once_ = true; }
  void wait_until_it_died() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return gone_; });
  }
  /// SIGKILL and restart, without a call that is lost by it.
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
  /// "labels", "newPayload 5", "forkchoice 5" or the method's name: since it came back last.
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
    // A cut connection: less than what the header says.
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
      // op-reth says yes to it, and does nothing.
      el_.set_head(*parse_quantity(std::string{params[0]}));
      out["result"] = nullptr;
    } else if (method == "engine_getClientVersionV1") {
      // As op-reth: a code that is not in the spec's list cannot be parsed.
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

/// The blocks behind a parent; `before` is called ahead of each.
class Blocks final : public PayloadStream {
 public:
  Blocks(std::uint64_t parent, std::function<void(std::uint64_t)> before)
      : next_{parent + 1}, before_{std::move(before)} {}
  absl::StatusOr<std::optional<PreparedPayload>> next(std::chrono::milliseconds) override {
    if (before_) before_(next_);
    PreparedPayload p;
    p.ref = ref(next_);
    p.body = json{{"jsonrpc", "2.0"},
                  {"id", 0},
                  {"method", "engine_newPayloadV4"},
                  {"params", {{{"blockNumber", to_quantity(next_)}, {"blockHash", to_hex(hash(next_).view())}}}}}
                 .dump();
    ++next_;
    return p;
  }

 private:
  std::uint64_t next_;
  const std::function<void(std::uint64_t)> before_;
};

/// A writer that is to tow an EL at 300 (safe 290, finalized 280) to 400.
class WriterTest : public ::testing::Test {
 protected:
  void start(sim::ElProfile profile, Writer::Options options = {}) {
    el_ = std::make_unique<FakeEl>(profile);
    el_->grow(300, 290, 280);
    std::filesystem::remove_all(absl::StrCat(::testing::TempDir(), "/writer-test-", getpid()));
    auto file = StateFile::open(absl::StrCat(::testing::TempDir(), "/writer-test-", getpid()));
    ASSERT_TRUE(file.ok()) << file.status();
    file_ = *std::move(file);
    engine_ = std::make_unique<EngineClient>(
        EngineClient::Options{el_->url(), {}, admin_ ? el_->url() : "", absl::Minutes(2)}, metrics_);
    contract::EngineState ready;
    ready.status = status_;
    show(persistent_, ready);
    board_ = std::make_unique<StateBoard>(ready);
    writer_ = std::make_unique<Writer>(
        options, Gate{persistent_}, MinAge{}, *file_, *engine_, *board_,
        [this](const eth::BlockId& parent, const eth::BlockId&, contract::PayloadOrigin) {
          return std::make_unique<Blocks>(parent.number, before_payload_);
        },
        metrics_);
  }
  absl::StatusOr<contract::CommandResult> import() {
    return writer_->import_range(
        {"test", 1, hash(300)}, {id(300), id(400), id(390), id(380)}, [] { return false; },
        [](const contract::ImportProgress&) {});
  }
  /// The import, while the EL dies and comes back.
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
  std::function<void(std::uint64_t)> before_payload_;
  std::unique_ptr<FakeEl> el_;
  std::unique_ptr<StateFile> file_;
  std::unique_ptr<EngineClient> engine_;
  std::unique_ptr<StateBoard> board_;
  std::unique_ptr<Writer> writer_;
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
      EXPECT_EQ(board_->get().engine_session, 1U) << "another life of the EL";
      file_.reset();
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
  Writer::Options once;
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
  before_payload_ = [&](std::uint64_t next) {
    if (next != 350) return;
    board_->stop();
    engine_->stop(towline::testing::kHang);
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
  // In the way of the file that replaces the state.
  const std::string in_the_way = absl::StrCat(::testing::TempDir(), "/writer-test-", getpid(), "/state.json.new");
  ASSERT_TRUE(std::filesystem::create_directories(in_the_way));
  const auto refused = import();
  EXPECT_TRUE(absl::IsUnavailable(refused.status())) << refused.status();
  EXPECT_EQ(board_->get().status, contract::EngineStatus::state_not_saved);
  EXPECT_EQ(board_->get().term, 0U) << "it does not count";
  EXPECT_FALSE(file_->check().ok());
  EXPECT_TRUE(absl::IsUnavailable(import().status())) << "nothing until it can be saved";
  EXPECT_THAT(writes(el_->calls()), Not(Contains(StartsWith("newPayload"))));
  std::filesystem::remove(in_the_way);
  EXPECT_TRUE(file_->check().ok());
  board_->update([](contract::EngineState& s) { s.status = contract::EngineStatus::ready; });
  const auto r = import();
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->outcome, contract::Outcome::done) << r->reason;
}

TEST_F(WriterTest, ADiskThatFillsUpInTheMiddleEndsTheImport) {
  start(sim::ElProfile::op_geth);
  const std::string in_the_way = absl::StrCat(::testing::TempDir(), "/writer-test-", getpid(), "/state.json.new");
  before_payload_ = [&](std::uint64_t next) {
    if (next == 350) std::filesystem::create_directories(in_the_way);
  };
  const auto r = import();
  std::filesystem::remove(in_the_way);
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->outcome, contract::Outcome::engine_unavailable) << r->reason;
  EXPECT_EQ(board_->get().status, contract::EngineStatus::state_not_saved);
  EXPECT_FALSE(board_->get().confirmed_finalized) << "what is not on disk does not count";
  EXPECT_THAT(writes(el_->calls()).back(), "forkchoice 396") << "no label after the one that could not be saved";
}

TEST_F(WriterTest, AnElOffTheConfirmedFinalizedKeepsItsFinalized) {
  persistent_ = {"test", 1, eth::BlockId{100, hash(999)}};
  start(sim::ElProfile::op_geth);
  const auto r = import();
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->outcome, contract::Outcome::contradicts_finalized) << r->reason;
  EXPECT_EQ(board_->get().status, contract::EngineStatus::contradicts_finalized);
  EXPECT_EQ(r->labels.finalized->id(), id(280)) << "not carried along";
  EXPECT_TRUE(absl::IsUnavailable(import().status())) << "nothing is written to such an EL";
  file_.reset();
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
  // A file of an older version names no chain.
  ASSERT_TRUE((*file)->save({"single", 3, id(5)}).ok());
  p = (*file)->load(ours);
  ASSERT_TRUE(p.ok()) << p.status();
  EXPECT_EQ(p->chain, ours);
  EXPECT_EQ(p->term, 3U);
}

TEST_F(WriterTest, ARestartWhileTheSourceIsWaitedForIsSeen) {
  Writer::Options careful;
  careful.restart_takes = absl::ZeroDuration();
  start(sim::ElProfile::op_geth, careful);
  before_payload_ = [&](std::uint64_t next) {
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
    file_.reset();
    start(row.profile);
    const std::uint64_t session = board_->get().engine_session;
    const auto r = writer_->lower_finalized(id(280), id(200), "because");
    ASSERT_TRUE(r.ok()) << r.status();
    EXPECT_EQ(r->outcome, row.outcome) << r->reason;
    EXPECT_EQ(r->labels.unsafe, ref(row.head));
    EXPECT_EQ(el_->latest(), ref(row.head));
    const contract::EngineState s = board_->get();
    EXPECT_EQ(s.confirmed_finalized, id(200));
    EXPECT_EQ(s.term, 1U);
    EXPECT_GT(s.engine_session, session) << "the coordinator begins again";
    const auto on_disk = file_->load({901, {}});
    ASSERT_TRUE(on_disk.ok()) << on_disk.status();
    EXPECT_EQ(on_disk->confirmed_finalized, id(200));
    if (row.outcome != contract::Outcome::done) continue;
    // The same once more: somebody else was faster.
    EXPECT_EQ(writer_->lower_finalized(id(280), id(200), "because")->refusal, contract::Refusal::not_final);
  }
}

TEST_F(WriterTest, OnlyToABlockOfTheElsOwnChain) {
  persistent_ = {"test", 1, id(280)};
  admin_ = true;
  start(sim::ElProfile::op_geth);
  eth::BlockId beside = id(200);
  beside.hash.bytes[20] = 1;
  EXPECT_EQ(writer_->lower_finalized(id(280), beside, "because")->refusal, contract::Refusal::not_canonical);
  EXPECT_EQ(board_->get().confirmed_finalized, id(280));
  EXPECT_EQ(el_->latest(), ref(300));
}

TEST_F(WriterTest, AnElOffTheConfirmedFinalizedIsUsedAgainWhenTheConfirmedFinalizedWasWrong) {
  eth::BlockId wrong = id(280);
  wrong.hash.bytes[20] = 1;
  persistent_ = {"test", 1, wrong};
  status_ = contract::EngineStatus::contradicts_finalized;
  start(sim::ElProfile::op_reth);
  const auto r = writer_->lower_finalized(wrong, id(280), "because");
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->outcome, contract::Outcome::done) << r->reason;
  EXPECT_EQ(board_->get().status, contract::EngineStatus::ready);
  EXPECT_EQ(board_->get().confirmed_finalized, id(280));
  EXPECT_EQ(import()->outcome, contract::Outcome::done);
}

}  // namespace
}  // namespace towline::driver
