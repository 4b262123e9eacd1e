#include "tools/towline/process.hpp"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

namespace towline::cli {
namespace {

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (auto& s : strings) out.push_back(s.data());
  out.push_back(nullptr);
  return out;
}

std::string cannot_start(const std::string& program) {
  return absl::StrCat("cannot start ", program,
                      "; all programs must be in one directory, as `make build` and `make install` put them");
}

}  // namespace

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string own_directory() {
  std::error_code ec;
  return std::filesystem::read_symlink("/proc/self/exe", ec).parent_path();
}

std::string describe_exit(int wait_status) {
  return WIFSIGNALED(wait_status) ? absl::StrCat("by signal ", WTERMSIG(wait_status))
                                  : absl::StrCat("with exit code ", WEXITSTATUS(wait_status));
}

void Process::start() {
  // Everything that allocates happens before fork(): other threads may hold locks at that moment.
  std::vector<std::string> args{spec_.name};
  args.insert(args.end(), spec_.args.begin(), spec_.args.end());
  std::vector<std::string> env;
  for (char** e = environ; *e != nullptr; ++e) {
    if (!absl::StartsWith(*e, "TOWLINE_")) env.emplace_back(*e);
  }
  for (const auto& [k, v] : spec_.env) env.push_back(absl::StrCat(k, "=", v));
  const auto argv = pointers(args);
  const auto envp = pointers(env);
  const std::string program = spec_.dir + "/" + spec_.name;
  const std::string excuse = absl::StrCat(spec_.name, ": ", cannot_start(program), "\n");
  const int log = open(spec_.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  struct stat st {};
  log_start_ = log >= 0 && fstat(log, &st) == 0 ? st.st_size : 0;
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(1);
    // A process group of its own: Ctrl-C reaches only the parent, which stops its children in order.
    setpgid(0, 0);
    if (log >= 0) {
      dup2(log, STDOUT_FILENO);
      dup2(log, STDERR_FILENO);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    execve(program.c_str(), argv.data(), envp.data());
    if (write(STDERR_FILENO, excuse.data(), excuse.size()) < 0) _exit(126);
    _exit(127);
  }
  if (log >= 0) close(log);
}

std::optional<int> Process::poll() {
  int status = 0;
  if (pid_ <= 0 || waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  pid_ = -1;
  return status;
}

void Process::terminate() const {
  if (pid_ > 0) kill(pid_, SIGTERM);
}

void Process::kill_now() const {
  if (pid_ > 0) kill(pid_, SIGKILL);
}

void Process::wait_or_kill(std::int64_t deadline_ms) {
  while (pid_ > 0 && !poll()) {
    if (now_ms() > deadline_ms) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
      pid_ = -1;
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
}

void Process::stop() {
  terminate();
  wait_or_kill(now_ms() + 4800);
}

std::string Process::last_words() const {
  std::ifstream in{spec_.log};
  in.seekg(log_start_);
  std::string line, last, said;
  while (std::getline(in, line)) {
    if (!line.empty()) last = line;
    if (absl::StartsWith(line, spec_.name + ": ")) said = line;
  }
  return said.empty() ? last : said;
}

absl::StatusOr<std::string> output_of(const std::string& directory, const std::string& name, const std::string& arg) {
  const std::string program = directory + "/" + name;
  std::vector<std::string> args{name, arg};
  const auto argv = pointers(args);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::UnavailableError(absl::StrCat("pipe: ", std::strerror(errno)));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  pid_t pid = 0;
  const int failed = posix_spawn(&pid, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  std::string out;
  char chunk[4096];
  for (ssize_t n = 0; failed == 0 && (n = read(ends[0], chunk, sizeof chunk)) > 0;)
    out.append(chunk, static_cast<std::size_t>(n));
  close(ends[0]);
  if (failed != 0) return absl::NotFoundError(cannot_start(program));
  int status = 0;
  waitpid(pid, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return absl::FailedPreconditionError(absl::StrCat(program, " ", arg, " ended ", describe_exit(status)));
  return out;
}

}  // namespace towline::cli
