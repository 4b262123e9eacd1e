// The driver's state as everyone sees it: written by monitor and writer, read and awaited by gRPC handlers. Thread
// safe.
#pragma once
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>

#include "services/engine-driver/core/state.hpp"

namespace towline::driver {

class StateBoard {
 public:
  explicit StateBoard(DriverState initial) : state_{std::move(initial)} {}

  DriverState get() const {
    std::lock_guard lock{mutex_};
    return state_;
  }
  void update(const std::function<void(DriverState&)>& change) {
    {
      std::lock_guard lock{mutex_};
      change(state_);
      ++version_;
    }
    changed_.notify_all();
  }
  /// Waits for a version other than `seen` (updated), at most `limit`.
  DriverState wait(std::uint64_t& seen, std::chrono::milliseconds limit) const {
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, limit, [&] { return version_ != seen || stopped_; });
    seen = version_;
    return state_;
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
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  DriverState state_;
  std::uint64_t version_ = 1;
  bool stopped_ = false;
};

}  // namespace towline::driver
