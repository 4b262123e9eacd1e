#include "tools/towline/supervisor.hpp"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <thread>

#include "libs/base/status.hpp"
#include "libs/discv5/boot_nodes.hpp"
#include "libs/http/client.hpp"
#include "libs/rollup/config.hpp"
#include "tools/towline/live_area.hpp"
#include "tools/towline/render.hpp"

namespace towline::cli {
namespace {

// A service that ends sooner than this has not really run.
constexpr std::int64_t kQuickMs = 3000;
constexpr std::int64_t kLongestBackoffMs = 10'000;
constexpr std::int64_t kPlainLineEveryMs = 10'000;

volatile sig_atomic_t g_stop = 0;
void on_signal(int) { g_stop = 1; }

}  // namespace

void catch_stop_signals() {
  struct sigaction sa {};
  sa.sa_handler = on_signal;
  for (const int s : {SIGINT, SIGTERM, SIGHUP}) sigaction(s, &sa, nullptr);
}

bool stop_requested() { return g_stop != 0; }

bool runs_gossip(const UpOptions& o) {
  if (o.p2p_disable || (o.unsafe_source != "both" && o.unsafe_source != "gossip")) return false;
  if (!o.p2p_static.empty() || !o.p2p_bootnodes.empty()) return true;
  const auto config = rollup::network(o.network);
  return config.ok() && (config->unsafe_block_signer || !o.p2p_signer.empty()) &&
         !discv5::default_boot_nodes(config->l1_chain_id).empty();
}

absl::StatusOr<std::unique_ptr<Fleet>> Fleet::start(const UpOptions& o) {
  std::error_code ec;
  std::filesystem::create_directories(o.data_dir, ec);
  if (ec) return absl::InvalidArgumentError(absl::StrCat("--data-dir: cannot create ", o.data_dir, ": ", ec.message()));
  std::unique_ptr<Fleet> f{new Fleet};
  f->data_dir_ = o.data_dir;
  struct Address {
    std::string grpc, http;
  };
  std::map<std::string, Address> at;
  for (std::size_t i = 0; i < kServices.size(); ++i) {
    int grpc = o.base_port + 10 * static_cast<int>(i);
    int http = grpc + 1;
    if (o.base_port == 0) {
      for (int* number : {&grpc, &http}) {
        TOWLINE_ASSIGN_OR_RETURN(HeldPort port, HeldPort::take());
        *number = port.number();
        f->ports_.push_back(std::move(port));
      }
    }
    at[kServices[i]] = {absl::StrCat("127.0.0.1:", grpc), absl::StrCat("127.0.0.1:", http)};
  }
  const auto target = [&](const char* service) { return "dns:///" + at.at(service).grpc; };
  const std::string chain = o.network.empty() ? "--rollup-config=" + o.rollup_config : "--network=" + o.network;
  const auto add = [&](const std::string& name, std::vector<std::string> args, std::map<std::string, std::string> env) {
    const Address& a = at.at(name);
    args.insert(args.begin(), {chain, "--grpc.addr=" + a.grpc, "--http.addr=" + a.http, "--log.level=" + o.log_level});
    for (std::size_t i = 0; i < rollup::kForkCount; ++i) {
      if (o.overrides[i])
        args.push_back(absl::StrCat("--override.", rollup::name(static_cast<rollup::Fork>(i)), "=", *o.overrides[i]));
    }
    Service s;
    s.process = std::make_unique<Process>(
        ProcessSpec{name, own_directory(), std::move(args), std::move(env), o.data_dir + "/" + name + ".log"});
    s.grpc = a.grpc;
    s.http = a.http;
    f->services_.push_back(std::move(s));
  };
  // URLs may hold keys: they travel by environment, never on a command line.
  std::map<std::string, std::string> fetcher_env;
  if (!o.sources.empty()) fetcher_env["TOWLINE_ENDPOINT"] = absl::StrJoin(o.sources, ",");
  if (!o.proxy.empty()) fetcher_env["TOWLINE_PROXY"] = o.proxy;
  std::vector<std::string> fetcher_args{"--evidence-file=" + o.data_dir + "/evidence.jsonl"};
  if (!o.endpoints_file.empty()) fetcher_args.push_back("--endpoints-file=" + o.endpoints_file);
  add("remote-fetcher", fetcher_args, fetcher_env);
  if (runs_gossip(o)) {
    std::vector<std::string> args{"--data-dir=" + o.data_dir + "/p2p", "--p2p.listen.ip=" + o.p2p_listen_ip,
                                  absl::StrCat("--p2p.listen.tcp=", o.p2p_listen_port)};
    if (!o.p2p_static.empty()) args.push_back("--p2p.static=" + absl::StrJoin(o.p2p_static, ","));
    if (!o.p2p_bootnodes.empty()) args.push_back("--p2p.bootnodes=" + absl::StrJoin(o.p2p_bootnodes, ","));
    if (!o.p2p_signer.empty()) args.push_back("--p2p.unsafe-block-signer=" + o.p2p_signer);
    // Whose clock ours is compared with; what is shown of a URL is enough.
    std::vector<std::string> clocks;
    for (const auto& url : o.sources) {
      const std::string shown = http::redact_url(url);
      // A WebSocket answer has no Date: the same server is asked by HTTP.
      clocks.push_back(absl::StartsWith(shown, "ws") ? absl::StrCat("http", shown.substr(2)) : shown);
    }
    if (!clocks.empty()) args.push_back("--clock-source=" + absl::StrJoin(clocks, ","));
    add("p2p-gossip", args, {});
  }
  std::map<std::string, std::string> driver_env{{"TOWLINE_ENGINE", o.engine}};
  if (!o.admin_rpc.empty()) driver_env["TOWLINE_ENGINE_ADMIN_RPC"] = o.admin_rpc;
  std::vector<std::string> driver_args{"--data-dir=" + o.data_dir, "--payload-source=" + target("remote-fetcher"),
                                       "--gossip-source=" + target("p2p-gossip")};
  if (!o.jwt_secret.empty()) driver_args.push_back("--jwt-secret=" + o.jwt_secret);
  add("engine-driver", driver_args, driver_env);
  add("sync-coordinator",
      {"--remote-fetcher=" + target("remote-fetcher"), "--engine-driver=" + at.at("engine-driver").grpc,
       "--unsafe-source=" + o.unsafe_source, "--p2p-gossip=" + target("p2p-gossip"), "--data-dir=" + o.data_dir},
      {});
  f->stub_ = v1::SyncCoordinator::NewStub(
      grpc::CreateChannel(at.at("sync-coordinator").grpc, grpc::InsecureChannelCredentials()));
  for (auto& s : f->services_) {
    s.process->start();
    s.started_ms = now_ms();
  }
  return f;
}

Fleet::~Fleet() {
  for (auto it = services_.rbegin(); it != services_.rend(); ++it) it->process->terminate();
  const std::int64_t deadline = now_ms() + 4800;
  for (auto& s : services_) s.process->wait_or_kill(deadline);
}

absl::Status Fleet::supervise(std::vector<std::string>& news) {
  for (auto& s : services_) {
    if (const auto ended = s.process->poll()) {
      const bool quick = now_ms() - s.started_ms < kQuickMs;
      // A service that ends by itself at its first start says why in its last line: a wrong flag or file does not heal.
      if (quick && !s.proven && WIFEXITED(*ended)) return absl::FailedPreconditionError(s.process->last_line());
      s.quick_deaths = quick ? s.quick_deaths + 1 : 0;
      s.restart_ms = now_ms() + std::min<std::int64_t>(200LL << std::min(s.quick_deaths, 6), kLongestBackoffMs);
      std::string line = absl::StrCat(s.process->name(), " ended ", describe_exit(*ended), ", starting it again");
      if (const std::string why = s.process->last_line(); WIFEXITED(*ended) && !why.empty())
        absl::StrAppend(&line, "; its last words: ", why);
      news.push_back(std::move(line));
    } else if (s.process->running()) {
      s.proven = s.proven || now_ms() - s.started_ms >= kQuickMs;
    } else if (now_ms() >= s.restart_ms) {
      s.process->start();
      s.started_ms = now_ms();
    }
  }
  return absl::OkStatus();
}

std::optional<v1::SyncStatus> Fleet::status() {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds{500});
  v1::GetSyncStatusResponse response;
  if (!stub_->GetSyncStatus(&context, {}, &response).ok() || response.status().tows_size() == 0) return std::nullopt;
  return response.status();
}

std::string Fleet::gossip_address() const {
  for (const auto& s : services_) {
    if (s.process->name() == "p2p-gossip") return s.grpc;
  }
  return {};
}

std::string Fleet::addresses() const {
  std::string out;
  for (const auto& s : services_)
    absl::StrAppend(&out, absl::StrFormat("%-16s  %s  /metrics on %s\n", s.process->name(), s.grpc, s.http));
  return absl::StrCat(out, absl::StrFormat("%-16s  %s", "logs", data_dir_));
}

std::string Fleet::names() const {
  std::string out;
  for (std::size_t i = 0; i < services_.size(); ++i)
    absl::StrAppend(&out, i == 0 ? "" : i + 1 == services_.size() ? " and " : ", ", services_[i].process->name());
  return out;
}

int up(const UpOptions& o) {
  catch_stop_signals();
  auto fleet = Fleet::start(o);
  if (!fleet.ok()) {
    std::cerr << "towline up: " << fleet.status().message() << '\n';
    return 1;
  }
  std::cout << (*fleet)->addresses() << std::endl;
  LiveArea area;
  std::int64_t next_line = 0;
  std::string shown_state;
  while (!stop_requested()) {
    std::vector<std::string> news;
    const absl::Status fine = (*fleet)->supervise(news);
    if (!fine.ok() || !news.empty()) area.leave();
    for (const auto& line : news) std::cerr << "towline up: " << line << std::endl;
    if (!fine.ok()) {
      std::cerr << "towline up: " << fine.message() << '\n';
      return 1;
    }
    if (const auto status = (*fleet)->status()) {
      const std::string state = state_name(status->tows(0).state());
      if (area.live()) {
        area.draw(live_lines(*status));
      } else if (now_ms() >= next_line || state != shown_state) {
        std::cout << live_line(*status) << std::endl;
        next_line = now_ms() + kPlainLineEveryMs;
      }
      shown_state = state;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{200});
  }
  area.leave();
  std::cout << "towline up: stopping" << std::endl;
  return 0;
}

}  // namespace towline::cli
