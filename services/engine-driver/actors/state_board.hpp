// The driver's state as everyone sees it: written by monitor and writer, read and awaited by gRPC handlers. Thread
// safe.
#pragma once
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>

#include "libs/base/steady_time.hpp"
#include "libs/contract/engine.hpp"

namespace towline::driver {

class StateBoard {
 public:
  explicit StateBoard(contract::EngineState initial) : state_{std::move(initial)} {}

  contract::EngineState get() const {
    std::lock_guard lock{mutex_};
    return copy();
  }
  /// A command was admitted.
  void commanded(absl::Time now) {
    std::lock_guard lock{mutex_};
    commanded_ = now;
  }
  /// A command that may move the head begins or ends; the head that it asks for, if it is known.
  void write(const std::optional<Hash32>& head) {
    std::lock_guard lock{mutex_};
    ++writes_;
    if (head) commanded_head_ = head;
  }
  std::pair<std::uint64_t, std::optional<Hash32>> writes() const {
    std::lock_guard lock{mutex_};
    return {writes_, commanded_head_};
  }
  void watch_begins() {
    update([](contract::EngineState& s) { ++s.watchers; });
  }
  void watch_ends() {
    update([](contract::EngineState& s) { --s.watchers; });
  }
  void update(const std::function<void(contract::EngineState&)>& change) {
    {
      std::lock_guard lock{mutex_};
      change(state_);
      ++version_;
    }
    changed_.notify_all();
  }
  /// Waits for a version other than `seen` (updated), at most `limit`.
  contract::EngineState wait(std::uint64_t& seen, std::chrono::milliseconds limit) const {
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, limit, [&] { return version_ != seen || stopped_; });
    seen = version_;
    return copy();
  }
  void stop() {
    {
      std::lock_guard lock{mutex_};
      stopped_ = true;
    }
    changed_.notify_all();
  }
  bool stopped() const {
    std::lock_guard lock{mutex_};
    return stopped_;
  }

 private:
  contract::EngineState copy() const {
    contract::EngineState s = state_;
    s.idle = steady_now() - commanded_;
    return s;
  }
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  contract::EngineState state_;
  absl::Time commanded_ = steady_now();
  std::uint64_t writes_ = 0;
  std::optional<Hash32> commanded_head_;
  std::uint64_t version_ = 1;
  bool stopped_ = false;
};

}  // namespace towline::driver
