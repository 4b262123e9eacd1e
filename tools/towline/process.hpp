// A child process: has its own environment and log, is stopped in time, and ends with its parent.
#pragma once
#include <absl/status/statusor.h>
#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace towline::cli {

struct ProcessSpec {
  std::string name;  // of the program, and what argv[0] says
  std::string dir;   // the folder of the program
  std::vector<std::string> args;
  /// Added to the environment of this process without its TOWLINE_ variables, which are for this process alone.
  std::map<std::string, std::string> env;
  std::string log;  // standard output and error are appended here
};

/// Not thread safe: start and stop it from a thread that outlives it, because the kernel ends the child with the thread
/// that started it.
class Process {
 public:
  explicit Process(ProcessSpec spec) : spec_{std::move(spec)} {}
  ~Process() { stop(); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  const std::string& name() const { return spec_.name; }
  void start();
  bool running() const { return pid_ > 0; }
  /// The wait status, once, after the process ended by itself.
  std::optional<int> poll();
  /// Asks it to stop; see wait_or_kill().
  void terminate() const;
  /// Kills it at once (SIGKILL).
  void kill_now() const;
  /// Waits until `deadline_ms` (in the time of now_ms()), then kills it.
  void wait_or_kill(std::int64_t deadline_ms);
  /// terminate() and wait_or_kill() within 5 seconds.
  void stop();
  /// Why it ended, from its log since the last start: the last line that begins with its name, as services report
  /// errors, else the last line; empty: none.
  std::string last_words() const;

 private:
  ProcessSpec spec_;
  pid_t pid_ = -1;
  std::int64_t log_start_ = 0;
};

/// The output of the program `name` in `directory`, run with `arg`. An error: it cannot be started.
absl::StatusOr<std::string> output_of(const std::string& directory, const std::string& name, const std::string& arg);

std::int64_t now_ms();
/// The directory that this program is in.
std::string own_directory();
/// "by signal 9", "with exit code 1" of a wait status.
std::string describe_exit(int wait_status);

}  // namespace towline::cli
