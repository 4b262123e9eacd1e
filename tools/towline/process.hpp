// A child process: started with its own environment and log, stopped in time, gone when its parent is.
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
  std::string dir;   // where the program is
  std::vector<std::string> args;
  /// Added to the environment, from which every TOWLINE_ variable is taken out before: those are for this process.
  std::map<std::string, std::string> env;
  std::string log;  // standard output and error are appended here
};

/// Not thread safe: start and stop from the thread that outlives it (the kernel stops the child when that thread ends).
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
  /// At once: it does not answer any more.
  void kill_now() const;
  /// Waits until `deadline_ms` (steady milliseconds of now_ms()), then kills.
  void wait_or_kill(std::int64_t deadline_ms);
  /// terminate() and wait_or_kill() within 5 seconds.
  void stop();
  /// Why it ended in its own words since it was started last: the last line that begins with its name, as services say
  /// what is wrong, else the last one that it wrote; empty: none.
  std::string last_words() const;

 private:
  ProcessSpec spec_;
  pid_t pid_ = -1;
  std::int64_t log_start_ = 0;
};

/// What the program `name` of `directory` writes when it is run with `arg`. An error: it cannot be started.
absl::StatusOr<std::string> output_of(const std::string& directory, const std::string& name, const std::string& arg);

std::int64_t now_ms();
/// The directory that this program is in.
std::string own_directory();
/// "by signal 9", "with exit code 1" of a wait status.
std::string describe_exit(int wait_status);

}  // namespace towline::cli
