#include "tools/towline/demo.hpp"

#include <absl/status/status.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/time/time.h>
#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "libs/base/status.hpp"
#include "libs/http/client.hpp"
#include "tools/towline/live_area.hpp"
#include "tools/towline/process.hpp"
#include "tools/towline/render.hpp"
#include "tools/towline/supervisor.hpp"
#include "towline/v1/p2p_gossip.grpc.pb.h"

namespace towline::cli {
namespace {

using nlohmann::json;

constexpr std::uint64_t kHistory = 2000;
constexpr int kExecutionMicros = 8000;
constexpr std::uint64_t kReorgDepth = 5;
constexpr std::uint64_t kTipBlocks = 25;
constexpr std::uint64_t kFinalizedBlocks = 15;
// Each step takes seconds. Only a step that will never end takes this long, however busy the machine is.
constexpr std::chrono::seconds kHang{300};
constexpr std::chrono::seconds kSlowAnswer{60};

struct Head {
  std::uint64_t number = 0;
  std::string hash;
  friend bool operator==(const Head&, const Head&) = default;
};

/// The state of chain and EL, read directly and not through Towline.
struct Truth {
  Head chain_head, chain_finalized, el_head, el_safe, el_finalized;
};

std::string show(const Head& h) { return absl::StrCat(thousands(h.number), " ", h.hash.substr(0, 10), ".."); }

double seconds_since(std::int64_t start_ms) { return static_cast<double>(now_ms() - start_ms) / 1000; }

class Demo {
 public:
  int run() {
    const std::int64_t start = now_ms();
    catch_stop_signals();
    std::cout << "Towline demo: an execution client (EL) is towed along a simulated OP Stack chain.\n"
                 "Hashes are real, so are the services; chain and EL are simulated.\n\n";
    const absl::Status result = steps();
    area_.leave();
    fleet_.reset();
    devnet_.reset();
    std::error_code ec;
    if (absl::IsCancelled(result)) {
      std::filesystem::remove_all(dir_, ec);
      std::cerr << "\ndemo interrupted\n";
      return 1;
    }
    if (!result.ok()) {
      std::cerr << "\ndemo FAILED: " << result.message() << "\nlogs are kept in " << dir_.string() << '\n';
      return 1;
    }
    std::filesystem::remove_all(dir_, ec);
    std::cout << "\nSummary\n";
    for (const auto& [what, figure] : summary_) std::cout << absl::StrFormat("  %-34s %s\n", what, figure);
    std::cout << absl::StrFormat("  %-34s %.0f s\n\nAll of it happened as it should.\n", "the whole demo",
                                 seconds_since(start));
    return 0;
  }

 private:
  absl::Status steps() {
    TOWLINE_RETURN_IF_ERROR(make_chain());
    TOWLINE_RETURN_IF_ERROR(catch_up());
    TOWLINE_RETURN_IF_ERROR(follow_tip());
    TOWLINE_RETURN_IF_ERROR(reorg());
    return finality();
  }

  void title(int n, const std::string& text) {
    area_.leave();
    std::cout << absl::StrFormat("[%d/5] %s", n, text) << std::endl;
  }
  void say(const std::string& text) {
    area_.leave();
    std::cout << "      " << text << std::endl;
  }

  absl::Status make_chain() {
    title(1, absl::StrCat("A chain of ", thousands(kHistory), " blocks with transactions, and an empty EL beside it"));
    std::string pattern = (std::filesystem::temp_directory_path() / "towline-demo-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr)
      return absl::UnavailableError(absl::StrCat("cannot make a directory ", pattern));
    dir_ = pattern;
    devnet_ = std::make_unique<Process>(ProcessSpec{
        "towline-devnet",
        own_directory(),
        {absl::StrCat("--dir=", dir_.string()), absl::StrCat("--blocks=", kHistory), "--block-time=1", "--sources=3",
         "--tx-per-block=8", absl::StrCat("--el-exec-us=", kExecutionMicros), "--el-profile=op-geth"},
        {},
        (dir_ / "devnet.log").string()});
    devnet_->start();
    const auto file = dir_ / "endpoints.json";
    TOWLINE_RETURN_IF_ERROR(wait("the simulated chain did not start",
                                 [&]() -> absl::StatusOr<bool> { return std::filesystem::exists(file); }));
    std::ifstream in{file};
    const json endpoints = json::parse(in, nullptr, false);
    if (!endpoints.is_object()) return absl::InternalError("the simulated chain's endpoints.json does not read");
    control_ = endpoints.value("control", "");
    UpOptions o;
    // A CL with its EL, and two ELs of other groups: three votes.
    o.sources = {endpoints.value("cl", ""), "group=0"};
    for (std::size_t i = 0; i < endpoints["sources"].size(); ++i) {
      o.sources.push_back(endpoints["sources"][i].get<std::string>());
      o.sources.push_back(absl::StrCat("group=", i));
    }
    o.engine = endpoints.value("engine", "");
    o.environment["engine-driver"] = {{"TOWLINE_JWT_SECRET", endpoints.value("jwt", "")}};
    o.rollup_config = endpoints.value("rollup", "");
    o.data_dir = (dir_ / "data").string();
    o.base_port = 0;
    o.environment["p2p-gossip"] = {{"TOWLINE_P2P_STATIC", endpoints.value("p2p", "")},
                                   {"TOWLINE_P2P_UNSAFE_BLOCK_SIGNER", endpoints.value("signer", "")},
                                   {"TOWLINE_P2P_LISTEN_IP", "127.0.0.1"},
                                   {"TOWLINE_P2P_LISTEN_TCP", "0"}};
    TOWLINE_ASSIGN_OR_RETURN(const Truth t, look());
    if (t.el_head.number != 0) return absl::InternalError("the EL does not start at genesis");
    say(absl::StrCat("chain head ", show(t.chain_head), "; the EL is at genesis and takes ", kExecutionMicros / 1000,
                     " ms to execute a block"));
    import_start_ = now_ms();
    TOWLINE_ASSIGN_OR_RETURN(fleet_, Fleet::start(o));
    say("started " + fleet_->names());
    return absl::OkStatus();
  }

  absl::Status catch_up() {
    title(2, "Catch-up");
    bool at_tip = false;
    std::int64_t next_line = now_ms() + 3000;
    TOWLINE_RETURN_IF_ERROR(wait("the EL did not catch up", [&]() -> absl::StatusOr<bool> {
      TOWLINE_ASSIGN_OR_RETURN(const Truth t, look());
      const double share = static_cast<double>(t.el_head.number) / static_cast<double>(t.chain_head.number);
      const double rate = static_cast<double>(t.el_head.number) / seconds_since(import_start_);
      const std::string eta =
          rate > 0
              ? duration(static_cast<double>(t.chain_head.number - std::min(t.chain_head.number, t.el_head.number)) /
                         rate)
              : "-";
      const std::string line = absl::StrFormat("      %s %s / %s  %.0f blocks/s  ETA %s", progress_bar(share, 28),
                                               thousands(t.el_head.number), thousands(t.chain_head.number), rate, eta);
      area_.draw({{line}});
      if (!area_.live() && now_ms() >= next_line) {
        std::cout << line << std::endl;
        next_line = now_ms() + 3000;
      }
      at_tip = t.el_head == t.chain_head;
      return at_tip;
    }));
    TOWLINE_ASSIGN_OR_RETURN(const Truth t, look());
    const double took = seconds_since(import_start_);
    say(absl::StrFormat("the EL has %s blocks after %.1f s; its head is the chain's: %s", thousands(t.el_head.number),
                        took, show(t.el_head)));
    summary_.emplace_back("catch-up", absl::StrFormat("%s blocks in %.1f s, %.0f blocks/s", thousands(t.el_head.number),
                                                      took, static_cast<double>(t.el_head.number) / took));
    summary_.emplace_back("the EL's own limit", absl::StrFormat("%.0f blocks/s", 1e6 / kExecutionMicros));
    return absl::OkStatus();
  }

  absl::Status follow_tip() {
    title(3, absl::StrCat("At the tip: a new block each second, ", kTipBlocks, " of them"));
    TOWLINE_ASSIGN_OR_RETURN(const Truth first, look());
    std::uint64_t seen = first.el_head.number;
    std::uint64_t late = 0;
    TOWLINE_RETURN_IF_ERROR(wait("the EL does not follow the tip", [&]() -> absl::StatusOr<bool> {
      TOWLINE_ASSIGN_OR_RETURN(const Truth t, look());
      late = std::max(late, t.chain_head.number - std::min(t.chain_head.number, t.el_head.number));
      if (t.el_head.number > seen) {
        seen = t.el_head.number;
        show_heads(t);
      }
      return seen >= first.el_head.number + kTipBlocks;
    }));
    TOWLINE_RETURN_IF_ERROR(same_head(nullptr));
    say(absl::StrCat("followed block by block, at most ", late, " behind"));
    TOWLINE_RETURN_IF_ERROR(gossip(first.el_head.number, seen));
    summary_.emplace_back("at the tip",
                          absl::StrCat(seen - first.el_head.number, " blocks, at most ", late, " behind"));
    return absl::OkStatus();
  }

  /// Shows which blocks above `after`, up to `last`, came over the p2p network, and how long they took.
  absl::Status gossip(std::uint64_t after, std::uint64_t last) {
    const auto stub =
        v1::P2PGossip::NewStub(grpc::CreateChannel(fleet_->gossip_address(), grpc::InsecureChannelCredentials()));
    TOWLINE_ASSIGN_OR_RETURN(const json stats, command({{"cmd", "append"}, {"count", 0}}));
    const json& published = stats["gossip"]["published"];
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kSlowAnswer);
    const auto reader = stub->WatchBlocks(&context, {});
    std::vector<std::int64_t> ms;
    std::uint64_t number = 0;
    for (v1::WatchBlocksResponse m; number < last && reader->Read(&m) && m.has_block();) {
      number = m.block().block().number();
      const auto at = published.find(std::to_string(number));
      if (number > after && at != published.end())
        ms.push_back(static_cast<std::int64_t>(m.block().received_at_ms()) - at->get<std::int64_t>());
    }
    context.TryCancel();
    (void)reader->Finish();
    if (ms.size() < kTipBlocks - 2)
      return absl::InternalError(
          absl::StrCat("only ", ms.size(), " of ", kTipBlocks, " blocks came over the p2p network"));
    std::sort(ms.begin(), ms.end());
    const auto show_ms = [](std::int64_t n) { return n < 1 ? std::string{"under 1 ms"} : absl::StrCat(n, " ms"); };
    const std::string figure = absl::StrCat(ms.size(), " blocks, ", show_ms(ms[ms.size() / 2]),
                                            " on the way (median), ", show_ms(ms.back()), " the slowest");
    say("over the p2p network: " + figure);
    summary_.emplace_back("gossip, signed and checked", figure);
    return absl::OkStatus();
  }

  absl::Status reorg() {
    title(4, absl::StrCat("Reorg: the chain drops its last ", kReorgDepth, " blocks and grows others"));
    TOWLINE_ASSIGN_OR_RETURN(const std::uint64_t before, last_decision());
    // The chain stands still for a moment, so that the dropped blocks are known.
    TOWLINE_RETURN_IF_ERROR(command({{"cmd", "produce"}, {"on", false}}).status());
    Truth old;
    TOWLINE_RETURN_IF_ERROR(same_head(&old));
    const std::int64_t start = now_ms();
    TOWLINE_RETURN_IF_ERROR(command({{"cmd", "reorg"}, {"depth", kReorgDepth}}).status());
    TOWLINE_RETURN_IF_ERROR(command({{"cmd", "append"}}).status());
    Truth now;
    TOWLINE_RETURN_IF_ERROR(wait("the EL did not follow the reorg", [&]() -> absl::StatusOr<bool> {
      TOWLINE_ASSIGN_OR_RETURN(now, look());
      return now.el_head == now.chain_head && now.el_head != old.el_head;
    }));
    const double took = seconds_since(start);
    TOWLINE_RETURN_IF_ERROR(command({{"cmd", "produce"}, {"on", true}}).status());
    say(absl::StrCat("before  ", show(old.el_head)));
    say(absl::StrCat("after   ", show(now.el_head), " on the new branch, as the chain"));
    say("what sync-coordinator decided, and why (`towline decisions`):");
    v1::ListDecisionsResponse decisions;
    TOWLINE_RETURN_IF_ERROR(list_decisions(decisions));
    bool explained = false;
    const std::string depth = absl::StrCat(", ", kReorgDepth, " below our head");
    for (const auto& d : decisions.decisions()) {
      if (d.sequence() <= before) continue;
      say(absl::StrFormat("  %-9s %s", d.action(), d.reason()));
      explained = explained || (d.action() == "reorg" && absl::StrContains(d.reason(), depth));
    }
    if (!explained)
      return absl::InternalError(absl::StrCat("no decision explains a reorg of ", kReorgDepth, " blocks"));
    summary_.emplace_back("reorg walked back and switched", absl::StrFormat("%d blocks in %.1f s", kReorgDepth, took));
    return absl::OkStatus();
  }

  absl::Status finality() {
    title(5, absl::StrCat("Finality: finalized moves by ", kFinalizedBlocks, " blocks"));
    TOWLINE_ASSIGN_OR_RETURN(const Truth first, look());
    std::uint64_t last = first.el_finalized.number;
    TOWLINE_RETURN_IF_ERROR(wait("finalized does not move", [&]() -> absl::StatusOr<bool> {
      TOWLINE_ASSIGN_OR_RETURN(const Truth t, look());
      if (t.el_finalized.number < last) return absl::InternalError("finalized moved back");
      if (t.el_finalized.number > last) show_heads(t);
      last = t.el_finalized.number;
      return last >= first.el_finalized.number + kFinalizedBlocks;
    }));
    TOWLINE_RETURN_IF_ERROR(wait("finalized is not the chain's", [&]() -> absl::StatusOr<bool> {
      TOWLINE_ASSIGN_OR_RETURN(const Truth t, look());
      return t.el_finalized == t.chain_finalized;
    }));
    say(absl::StrCat("finalized ", thousands(first.el_finalized.number), " -> ", thousands(last),
                     " in the EL, never back, same hash as the chain's"));
    summary_.emplace_back("finalized", absl::StrCat(thousands(first.el_finalized.number), " -> ", thousands(last)));
    return absl::OkStatus();
  }

  void show_heads(const Truth& t) {
    const std::string line =
        absl::StrCat("      EL: unsafe ", thousands(t.el_head.number), "  safe ", thousands(t.el_safe.number),
                     "  finalized ", thousands(t.el_finalized.number));
    area_.draw({{line}});
    if (!area_.live()) std::cout << line << std::endl;
  }

  absl::Status same_head(Truth* out) {
    return wait("the EL's head is not the chain's", [&]() -> absl::StatusOr<bool> {
      TOWLINE_ASSIGN_OR_RETURN(const Truth t, look());
      if (out != nullptr) *out = t;
      return t.el_head == t.chain_head;
    });
  }

  /// Polls until true, and supervises the processes meanwhile.
  absl::Status wait(const std::string& otherwise, const std::function<absl::StatusOr<bool>()>& until) {
    const std::int64_t deadline = now_ms() + kHang / std::chrono::milliseconds{1};
    for (;;) {
      if (stop_requested()) return absl::CancelledError("interrupted");
      if (devnet_->poll()) return absl::InternalError(absl::StrCat("towline-devnet ended: ", devnet_->last_words()));
      if (fleet_) {
        std::vector<std::string> news;
        TOWLINE_RETURN_IF_ERROR(fleet_->supervise(news));
        if (!news.empty()) return absl::InternalError(news.front());
      }
      TOWLINE_ASSIGN_OR_RETURN(const bool done, until());
      if (done) return absl::OkStatus();
      if (now_ms() > deadline) {
        const auto s = fleet_ ? fleet_->status() : std::nullopt;
        return absl::DeadlineExceededError(absl::StrCat(otherwise, " in ", kHang / std::chrono::seconds{1}, " s",
                                                        s ? absl::StrCat("; ", live_line(*s)) : ""));
      }
      std::this_thread::sleep_for(std::chrono::milliseconds{100});
    }
  }

  /// Sends a command to the simulated chain; returns its statistics.
  absl::StatusOr<json> command(const json& c) {
    http::Request r;
    r.url = control_ + "/ctl";
    r.body = c.dump();
    r.timeout = absl::FromChrono(kSlowAnswer);
    const http::Response answer = http_.post_and_wait(std::move(r));
    TOWLINE_RETURN_IF_ERROR(answer.transport);
    json stats = json::parse(answer.body, nullptr, false);
    if (answer.status != 200 || !stats.is_object())
      return absl::InternalError(absl::StrCat("the simulated chain refuses ", c.dump(), ": ", answer.body));
    return stats;
  }

  absl::StatusOr<Truth> look() {
    // "append nothing" changes nothing and answers with the statistics.
    TOWLINE_ASSIGN_OR_RETURN(const json s, command({{"cmd", "append"}, {"count", 0}}));
    const auto head = [&](const char* side, const char* label) {
      const json& b = s[side][label];
      return b.is_object() ? Head{b.value("number", std::uint64_t{0}), b.value("hash", "")} : Head{};
    };
    return Truth{head("chain", "head"), head("chain", "finalized"), head("el", "head"), head("el", "safe"),
                 head("el", "finalized")};
  }

  absl::Status list_decisions(v1::ListDecisionsResponse& out) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kSlowAnswer);
    const grpc::Status s = fleet_->coordinator().ListDecisions(&context, {}, &out);
    return s.ok() ? absl::OkStatus()
                  : absl::UnavailableError(absl::StrCat("sync-coordinator does not answer: ", s.error_message()));
  }

  absl::StatusOr<std::uint64_t> last_decision() {
    v1::ListDecisionsResponse r;
    TOWLINE_RETURN_IF_ERROR(list_decisions(r));
    return r.decisions_size() == 0 ? std::uint64_t{0} : r.decisions(r.decisions_size() - 1).sequence();
  }

  std::filesystem::path dir_;
  http::Client http_;
  std::string control_;
  std::unique_ptr<Process> devnet_;
  std::unique_ptr<Fleet> fleet_;
  LiveArea area_;
  std::int64_t import_start_ = 0;
  std::vector<std::pair<std::string, std::string>> summary_;
};

}  // namespace

int demo() { return Demo{}.run(); }

}  // namespace towline::cli
