#include "tools/towline/supervisor.hpp"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_replace.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <map>
#include <thread>

#include "libs/base/files.hpp"
#include "libs/base/status.hpp"
#include "libs/discv5/boot_nodes.hpp"
#include "libs/http/client.hpp"
#include "libs/rollup/config.hpp"
#include "libs/wire/channel.hpp"
#include "libs/wire/token.hpp"
#include "tools/towline/live_area.hpp"
#include "tools/towline/render.hpp"

namespace towline::cli {
namespace {

// A service that ends sooner than this counts as not started.
constexpr std::int64_t kQuickMs = 3000;
constexpr std::int64_t kLongestBackoffMs = 10'000;
// As many turns as a service's own watchdog waits for a loop.
constexpr int kMissedTurns = 30;
constexpr std::int64_t kPlainLineEveryMs = 10'000;

volatile sig_atomic_t g_stop = 0;
void on_signal(int) { g_stop = 1; }

bool takes_output(int fd) {
  pollfd p{fd, POLLOUT, 0};
  return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0;
}

}  // namespace

void catch_stop_signals() {
  struct sigaction sa {};
  sa.sa_handler = on_signal;
  for (const int s : {SIGINT, SIGTERM, SIGHUP}) sigaction(s, &sa, nullptr);
}

bool stop_requested() { return g_stop != 0; }

bool runs_gossip(const UpOptions& o) {
  if (o.p2p_disable || (o.unsafe_source != "both" && o.unsafe_source != "gossip")) return false;
  const auto set = o.environment.find("p2p-gossip");
  const auto has = [&](const char* env) { return set != o.environment.end() && set->second.contains(env); };
  if (has("TOWLINE_P2P_STATIC") || has("TOWLINE_P2P_BOOTNODES")) return true;
  const auto config = rollup::network(o.network);
  return config.ok() && (config->unsafe_block_signer || has("TOWLINE_P2P_UNSAFE_BLOCK_SIGNER")) &&
         !discv5::default_boot_nodes(config->l1_chain_id).empty();
}

std::vector<std::string> clock_sources(const std::vector<std::string>& sources) {
  std::vector<std::string> clocks;
  for (const auto& source : sources) {
    // Belongs to the URL before it, and is for remote-fetcher.
    if (absl::StartsWith(source, "group=")) continue;
    const std::string shown = http::redact_url(source);
    // A WebSocket answer has no Date header, so the same server is asked by HTTP.
    clocks.push_back(absl::StartsWith(shown, "ws") ? absl::StrCat("http", shown.substr(2)) : shown);
  }
  return clocks;
}

absl::StatusOr<std::unique_ptr<Fleet>> Fleet::start(const UpOptions& o) {
  if (const auto ec = make_private_directory(o.data_dir))
    return absl::NotFoundError(absl::StrCat("--data-dir: cannot create ", o.data_dir, ": ", ec.message()));
  if (access(o.data_dir.c_str(), R_OK | W_OK | X_OK) != 0)
    return absl::PermissionDeniedError(
        absl::StrCat("--data-dir: cannot write ", o.data_dir, ": ", std::strerror(errno)));
  const std::string token_file = o.token_file.empty() ? o.data_dir + "/" + kTokenFile : o.token_file;
  if (o.token_file.empty()) {
    if (auto st = wire::make_token(token_file); !st.ok())
      return absl::InvalidArgumentError(absl::StrCat("--data-dir: ", st.message()));
  }
  const absl::StatusOr<std::string> token = wire::read_token(token_file);
  if (!token.ok()) return absl::InvalidArgumentError(absl::StrCat("--auth.token-file: ", token.status().message()));
  std::unique_ptr<Fleet> f{new Fleet};
  f->data_dir_ = o.data_dir;
  struct Address {
    std::string grpc, http;
  };
  std::map<std::string, Address> at;
  for (std::size_t i = 0; i < kServices.size(); ++i) {
    const auto take = [&](int offset) -> absl::StatusOr<std::string> {
      const int wanted = o.base_port == 0 ? 0 : o.base_port + 10 * static_cast<int>(i) + offset;
      auto port = HeldPort::take(wanted);
      if (!port.ok())
        return absl::UnavailableError(
            absl::StrCat("--base-port: ", port.status().message(),
                         "; does another towline up run here? Give another --base-port, or 0"));
      f->ports_.push_back(*std::move(port));
      return absl::StrCat("127.0.0.1:", f->ports_.back().number());
    };
    TOWLINE_ASSIGN_OR_RETURN(at[kServices[i]].grpc, take(0));
    TOWLINE_ASSIGN_OR_RETURN(at[kServices[i]].http, take(1));
  }
  const auto target = [&](const char* service) { return "dns:///" + at.at(service).grpc; };
  const std::string chain = o.network.empty() ? "--rollup-config=" + o.rollup_config : "--network=" + o.network;
  // Settings of `up` are passed by environment: URLs may contain keys, and everybody can read a command line.
  const auto add = [&](const std::string& name, std::vector<std::string> args, const Environment& ours,
                       const Environment& unless_set = {}) {
    const Address& a = at.at(name);
    args.insert(args.begin(),
                {chain, "--grpc.addr=" + a.grpc, "--http.addr=" + a.http, "--auth.token-file=" + token_file});
    Environment env = ours;
    if (const auto set = o.environment.find(name); set != o.environment.end())
      env.insert(set->second.begin(), set->second.end());
    env.insert(unless_set.begin(), unless_set.end());
    Service s;
    s.process = std::make_unique<Process>(
        ProcessSpec{name, own_directory(), std::move(args), std::move(env), o.data_dir + "/" + name + ".log"});
    s.grpc = a.grpc;
    s.http = a.http;
    f->services_.push_back(std::move(s));
  };
  Environment sources;
  if (!o.sources.empty()) sources["TOWLINE_ENDPOINT"] = absl::StrJoin(o.sources, ",");
  add("remote-fetcher", {}, sources, {{"TOWLINE_EVIDENCE_FILE", o.data_dir + "/evidence.jsonl"}});
  const bool gossip = runs_gossip(o);
  if (gossip) {
    const std::vector<std::string> clocks = clock_sources(o.sources);
    Environment unless_set;
    if (!clocks.empty()) unless_set["TOWLINE_CLOCK_SOURCE"] = absl::StrJoin(clocks, ",");
    add("p2p-gossip", {"--data-dir=" + o.data_dir + "/p2p"}, {}, unless_set);
  }
  add("engine-driver",
      {"--data-dir=" + o.data_dir, "--remote-fetcher=" + target("remote-fetcher"),
       "--p2p-gossip=" + target("p2p-gossip")},
      {{"TOWLINE_ENGINE", o.engine}});
  // Without p2p-gossip the coordinator must not ask for gossip.
  const std::string unsafe_source = gossip || o.unsafe_source == "none" ? o.unsafe_source : "remote";
  add("sync-coordinator",
      {"--remote-fetcher=" + target("remote-fetcher"), "--engine-driver=" + at.at("engine-driver").grpc,
       "--unsafe-source=" + unsafe_source, "--p2p-gossip=" + target("p2p-gossip"), "--data-dir=" + o.data_dir},
      {});
  f->stub_ = v1::SyncCoordinator::NewStub(wire::make_channel(at.at("sync-coordinator").grpc, *token));
  for (auto& s : f->services_) {
    s.process->start();
    s.started_ms = now_ms();
  }
  std::vector<std::string> statuses;
  for (const auto& s : f->services_) statuses.push_back(s.http);
  f->liveness_ = std::make_unique<Liveness>(std::move(statuses), std::chrono::seconds{1}, std::chrono::seconds{1});
  return f;
}

Fleet::~Fleet() {
  for (auto it = services_.rbegin(); it != services_.rend(); ++it) it->process->terminate();
  const std::int64_t deadline = now_ms() + 4800;
  for (auto& s : services_) s.process->wait_or_kill(deadline);
}

absl::Status Fleet::supervise(std::vector<std::string>& news) {
  for (std::size_t i = 0; i < services_.size(); ++i) {
    Service& s = services_[i];
    if (const auto ended = s.process->poll()) {
      const bool quick = now_ms() - s.started_ms < kQuickMs;
      // A service that ends by itself at its first start is not restarted: a wrong flag or file does not heal.
      if (quick && !s.proven && WIFEXITED(*ended)) {
        const std::string why = absl::StrReplaceAll(s.process->last_words(), {{"--endpoint ", "--source "}});
        return WEXITSTATUS(*ended) == 2 ? absl::InvalidArgumentError(why) : absl::FailedPreconditionError(why);
      }
      s.quick_deaths = quick ? s.quick_deaths + 1 : 0;
      s.restart_ms = now_ms() + std::min<std::int64_t>(200LL << std::min(s.quick_deaths, 6), kLongestBackoffMs);
      std::string line = absl::StrCat(s.process->name(), " ended ", describe_exit(*ended), ", starting it again");
      if (const std::string why = s.process->last_words(); WIFEXITED(*ended) && !why.empty())
        absl::StrAppend(&line, "; its last words: ", why);
      news.push_back(std::move(line));
    } else if (s.process->running()) {
      s.proven = s.proven || now_ms() - s.started_ms >= kQuickMs;
      if (liveness_->missed(i) >= kMissedTurns) {
        news.push_back(absl::StrCat(s.process->name(), " does not answer /livez, ending it"));
        liveness_->forget(i);
        s.process->kill_now();
      }
    } else if (now_ms() >= s.restart_ms) {
      liveness_->forget(i);
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
    // Output that nobody reads is not waited for, so that supervision goes on.
    if ((!fine.ok() || !news.empty()) && takes_output(STDOUT_FILENO)) area.leave();
    for (const auto& line : news) {
      if (takes_output(STDERR_FILENO)) std::cerr << "towline up: " << line << std::endl;
    }
    if (!fine.ok()) {
      std::cerr << "towline up: " << fine.message() << '\n';
      return absl::IsInvalidArgument(fine) ? 2 : 1;
    }
    if (const auto status = (*fleet)->status(); status && takes_output(STDOUT_FILENO)) {
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
  if (takes_output(STDOUT_FILENO)) {
    area.leave();
    std::cout << "towline up: stopping" << std::endl;
  }
  return 0;
}

}  // namespace towline::cli
