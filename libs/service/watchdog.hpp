// Finds a loop that no longer takes its turn. Each second every loop is asked for one turn: to run a function that says
// so. A loop that has not run it after 30 of the watchdog's own seconds hangs. These are counted, not measured: a
// process that was stopped for an hour has lost one turn of its own, too, and nobody is blamed.
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

/// The decision. Turns in, the loop that hangs out.
class Patience {
 public:
  explicit Patience(int most) : most_{most} {}
  /// One turn of the watchdog; `took_turn` has one value for each loop, in the same order each time. The first loop
  /// that has let as many turns go by as there is patience.
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

  /// Before start(). What `ask` uses must live until stop().
  void watch(std::string name, Ask ask);
  /// `on_hang` is called once, one turn after hung() has begun to say it, so that /livez tells it, too.
  void start(std::function<void(const std::string& loop)> on_hang);
  void stop();

  /// The loop that hangs, nothing while all of them live. Any thread.
  std::string hung() const;

 private:
  struct Loop {
    std::string name;
    Ask ask;
    /// Shared with the turns that are asked for: one may come when the watchdog is gone.
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
