// Finds a loop that no longer takes its turns. Each second every loop is asked for one turn: to run a given function. A
// loop that has not run it after 30 turns of the watchdog itself hangs. Turns are counted and not timed: if the process
// was stopped for an hour, the watchdog has lost one turn, too, and no loop counts as hung.
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace towline::service {

/// The decision: turns in, the hung loop out.
class Patience {
 public:
  explicit Patience(int most) : most_{most} {}
  /// One turn of the watchdog; `took_turn` has one value for each loop, in the same order each time. Returns the first
  /// loop that missed `most` turns in a row.
  std::optional<std::size_t> turn(const std::vector<bool>& took_turn);

 private:
  const int most_;
  std::vector<int> missed_;
};

class Watchdog {
 public:
  /// Hands `turn` to a loop and returns at once; the loop calls it, on any thread.
  using Ask = std::function<void(std::function<void()> turn)>;

  explicit Watchdog(std::chrono::milliseconds length = std::chrono::seconds{1}) : length_{length} {}
  ~Watchdog() { stop(); }

  /// Adds a loop; call it before start(). Objects that `ask` uses must live until stop().
  void watch(std::string name, Ask ask);
  /// Calls `on_hang` once, one turn after hung() names the loop, so that /livez shows it, too.
  void start(std::function<void(const std::string& loop)> on_hang);
  void stop();

  /// The name of the loop that hangs; empty: all live. Any thread.
  std::string hung() const;

 private:
  struct Loop {
    std::string name;
    Ask ask;
    /// Shared with the requested turns, because one may come when the watchdog is gone.
    std::shared_ptr<std::atomic<bool>> took_turn = std::make_shared<std::atomic<bool>>(true);
  };
  void run(const std::function<void(const std::string&)>& on_hang);

  const std::chrono::milliseconds length_;
  std::vector<Loop> loops_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopped_ = false;
  std::string hung_;
  std::thread thread_;
};

}  // namespace towline::service
