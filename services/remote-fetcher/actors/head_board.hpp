// The last snapshot of every endpoint and the one that is followed. Pollers write, gRPC handlers wait. Thread safe.
#pragma once
#include <absl/time/clock.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>

#include "services/remote-fetcher/core/heads.hpp"

namespace towline::fetcher {

class HeadBoard {
 public:
  explicit HeadBoard(absl::Duration stale_after) : choice_{stale_after} {}

  void put(HeadSnapshot s, bool contradicts_anchor) {
    change([&] { choice_.put(std::move(s), contradicts_anchor); });
  }
  void drop(const std::string& endpoint) {
    change([&] { choice_.drop(endpoint); });
  }
  void set_unknown_rules(std::string what) {
    change([&] { unknown_rules_ = std::move(what); });
  }
  std::string unknown_rules() const {
    std::lock_guard lock{mutex_};
    return unknown_rules_;
  }
  std::optional<HeadSnapshot> of(const std::string& endpoint) const {
    std::lock_guard lock{mutex_};
    return choice_.of(endpoint);
  }
  std::optional<HeadSnapshot> current() {
    std::lock_guard lock{mutex_};
    return choose();
  }
  /// Waits for news after `seen` (updated), at most `limit`.
  std::optional<HeadSnapshot> wait(std::uint64_t& seen, std::chrono::milliseconds limit) {
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, limit, [&] { return version_ != seen || stopped_; });
    seen = version_;
    return choose();
  }
  /// The block that the callers hold as final; endpoints that contradict it are not followed while another agrees.
  std::optional<eth::BlockId> anchor() const {
    std::lock_guard lock{mutex_};
    return anchor_;
  }
  void raise_anchor(const eth::BlockId& a) {
    std::lock_guard lock{mutex_};
    if (!anchor_ || a.number > anchor_->number) anchor_ = a;
  }
  void stop() {
    change([&] { stopped_ = true; });
  }
  bool stopped() const {
    std::lock_guard lock{mutex_};
    return stopped_;
  }

 private:
  template <class F>
  void change(F f) {
    {
      std::lock_guard lock{mutex_};
      f();
      ++version_;
    }
    changed_.notify_all();
  }
  std::optional<HeadSnapshot> choose() {
    auto s = choice_.choose(absl::Now());
    if (s) s->unknown_rules = unknown_rules_;
    return s;
  }
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  HeadChoice choice_;
  std::string unknown_rules_;
  std::optional<eth::BlockId> anchor_;
  std::uint64_t version_ = 1;
  bool stopped_ = false;
};

}  // namespace towline::fetcher
