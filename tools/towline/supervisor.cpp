#include "tools/towline/supervisor.hpp"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/time/clock.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <thread>

#include "tools/towline/render.hpp"
#include "towline/v1/sync_coordinator.grpc.pb.h"

namespace towline::cli {
namespace {

struct Child {
  std::string name;
  std::vector<std::string> args;
  std::map<std::string, std::string> env;
  std::string log;
  pid_t pid = -1;
  absl::Time started;
  absl::Time restart_at = absl::InfinitePast();
  int quick_deaths = 0;
};

volatile sig_atomic_t g_stop = 0;
void on_signal(int) { g_stop = 1; }

int free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t len = sizeof a;
  int port = 0;
  if (bind(fd, reinterpret_cast<sockaddr*>(&a), len) == 0 && getsockname(fd, reinterpret_cast<sockaddr*>(&a), &len) == 0) port = ntohs(a.sin_port);
  close(fd);
  return port;
}

void spawn(Child& c, const std::string& bin_dir) {
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(1);
    // Not the terminal's Ctrl-C: the supervisor stops its children in order.
    setpgid(0, 0);
    const int log = open(c.log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (log >= 0) {
      dup2(log, STDOUT_FILENO);
      dup2(log, STDERR_FILENO);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    for (const auto& [k, v] : c.env) setenv(k.c_str(), v.c_str(), 1);
    const std::string program = bin_dir + "/" + c.name;
    std::vector<char*> argv;
    std::string name = c.name;
    argv.push_back(name.data());
    for (auto& a : c.args) argv.push_back(a.data());
    argv.push_back(nullptr);
    execv(program.c_str(), argv.data());
    std::cerr << c.name << ": cannot start " << program << ": " << std::strerror(errno) << '\n';
    _exit(127);
  }
  c.pid = pid;
  c.started = absl::Now();
}

std::string last_line(const std::string& path) {
  std::ifstream in{path};
  std::string line;
  std::string last;
  while (std::getline(in, line)) {
    if (!line.empty()) last = line;
  }
  return last;
}

void stop_all(std::vector<Child>& children) {
  for (auto it = children.rbegin(); it != children.rend(); ++it) {
    if (it->pid > 0) kill(it->pid, SIGTERM);
  }
  const absl::Time deadline = absl::Now() + absl::Milliseconds(4800);
  for (auto& c : children) {
    while (c.pid > 0 && waitpid(c.pid, nullptr, WNOHANG) == 0) {
      if (absl::Now() > deadline) {
        kill(c.pid, SIGKILL);
        waitpid(c.pid, nullptr, 0);
        break;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
    c.pid = -1;
  }
}

}  // namespace

int up(const UpOptions& o) {
  std::error_code ec;
  std::filesystem::create_directories(o.data_dir, ec);
  if (ec) {
    std::cerr << "towline up: --data-dir: cannot create " << o.data_dir << ": " << ec.message() << '\n';
    return 1;
  }
  std::string bin = o.bin_dir;
  if (bin.empty()) bin = std::filesystem::read_symlink("/proc/self/exe", ec).parent_path();
  std::vector<int> ports(6);
  for (std::size_t i = 0; i < ports.size(); ++i) {
    ports[i] = o.base_port == 0 ? free_port() : o.base_port + static_cast<int>(i / 2) * 10 + static_cast<int>(i % 2);
  }
  const auto addr = [&](std::size_t i) { return absl::StrCat("127.0.0.1:", ports[i]); };
  const std::string chain = o.network.empty() ? "--rollup-config=" + o.rollup_config : "--network=" + o.network;
  const auto child = [&](const std::string& name, std::size_t port, std::vector<std::string> args) {
    args.insert(args.begin(), {chain, "--grpc.addr=" + addr(port), "--http.addr=" + addr(port + 1), "--log.level=" + o.log_level});
    return Child{name, std::move(args), {}, o.data_dir + "/" + name + ".log", -1, {}, absl::InfinitePast(), 0};
  };
  std::vector<Child> children;
  children.push_back(child("remote-fetcher", 0, {}));
  // URLs may hold keys: they travel by environment, never on a command line.
  if (!o.sources.empty()) children.back().env["TOWLINE_ENDPOINT"] = absl::StrJoin(o.sources, ",");
  if (!o.endpoints_file.empty()) children.back().args.push_back("--endpoints-file=" + o.endpoints_file);
  children.push_back(child("engine-driver", 4, {"--data-dir=" + o.data_dir, "--payload-source=dns:///" + addr(0)}));
  children.back().env["TOWLINE_ENGINE"] = o.engine;
  if (!o.jwt_secret.empty()) children.back().args.push_back("--jwt-secret=" + o.jwt_secret);
  if (!o.admin_rpc.empty()) children.back().env["TOWLINE_ENGINE_ADMIN_RPC"] = o.admin_rpc;
  children.push_back(child("sync-coordinator", 2, {"--remote-fetcher=dns:///" + addr(0), "--engine-driver=" + addr(4), "--unsafe-source=" + o.unsafe_source}));

  struct sigaction sa {};
  sa.sa_handler = on_signal;
  sigaction(SIGINT, &sa, nullptr);
  sigaction(SIGTERM, &sa, nullptr);
  std::cout << "towline up: coordinator " << addr(2) << ", fetcher " << addr(0) << ", driver " << addr(4) << "; metrics on " << addr(1) << ", " << addr(3) << ", "
            << addr(5) << "; logs in " << o.data_dir << std::endl;
  for (auto& c : children) spawn(c, bin);

  const bool tty = isatty(STDOUT_FILENO) != 0;
  auto channel = grpc::CreateChannel(addr(2), grpc::InsecureChannelCredentials());
  auto stub = v1::SyncCoordinator::NewStub(channel);
  absl::Time next_line = absl::InfinitePast();
  std::string shown_state;
  while (g_stop == 0) {
    for (auto& c : children) {
      int status = 0;
      if (c.pid > 0 && waitpid(c.pid, &status, WNOHANG) == c.pid) {
        c.pid = -1;
        const bool quick = absl::Now() - c.started < absl::Seconds(3);
        // A service that ends by itself at its start says why in its last line: a wrong flag or file does not heal.
        if (quick && WIFEXITED(status) && WEXITSTATUS(status) != 0) {
          std::cerr << (tty ? "\n" : "") << "towline up: " << last_line(c.log) << '\n';
          stop_all(children);
          return 1;
        }
        c.quick_deaths = quick ? c.quick_deaths + 1 : 0;
        c.restart_at = absl::Now() + std::min(absl::Milliseconds(200) * (1 << std::min(c.quick_deaths, 6)), absl::Seconds(10));
        std::cerr << (tty ? "\n" : "") << "towline up: " << c.name << " ended"
                  << (WIFSIGNALED(status) ? absl::StrCat(" by signal ", WTERMSIG(status)) : absl::StrCat(" with exit code ", WEXITSTATUS(status))) << ", starting it again\n";
      }
      if (c.pid < 0 && absl::Now() >= c.restart_at) spawn(c, bin);
    }
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds{500});
    v1::GetSyncStatusResponse response;
    if (stub->GetSyncStatus(&context, {}, &response).ok() && response.status().tows_size() > 0) {
      const std::string line = live_line(response.status());
      const std::string state = state_name(response.status().tows(0).state());
      if (tty) {
        std::cout << "\r\x1b[2K" << line.substr(0, 200) << std::flush;
      } else if (absl::Now() >= next_line || state != shown_state) {
        std::cout << line << std::endl;
        next_line = absl::Now() + absl::Seconds(10);
      }
      shown_state = state;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{200});
  }
  std::cout << (tty ? "\n" : "") << "towline up: stopping" << std::endl;
  stop_all(children);
  return 0;
}

}  // namespace towline::cli
