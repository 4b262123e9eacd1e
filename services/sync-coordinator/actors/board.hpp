// What the gRPC service tells of one tow: written by its actor, read and awaited by handlers. Thread safe.
#pragma once
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>

#include "services/sync-coordinator/core/readiness.hpp"

namespace towline::coordinator {

struct TowView {
  std::string driver;
  TowReadiness readiness;
  /// When the readiness's state was entered.
  absl::Time since;
  std::optional<contract::EngineState> local;
  std::optional<contract::HeadSnapshot> remote;
  std::optional<eth::BlockRef> target;
  std::optional<std::uint64_t> distance;
  /// When the source was heard of last.
  absl::Time source_heard;
  std::optional<eth::BlockId> diverged_remote;
  std::uint64_t term = 0;
};

class Board {
 public:
  void put(std::size_t tow, TowView v) {
    change([&] { views_[tow] = std::move(v); });
  }
  void put_decisions(std::size_t tow, std::deque<Decision> d) {
    std::lock_guard lock{mutex_};
    decisions_[tow] = std::move(d);
  }
  std::vector<TowView> views() const {
    std::lock_guard lock{mutex_};
    return copy();
  }
  std::deque<Decision> decisions(std::size_t tow) const {
    std::lock_guard lock{mutex_};
    const auto it = decisions_.find(tow);
    return it == decisions_.end() ? std::deque<Decision>{} : it->second;
  }
  /// Waits for a version other than `seen` (updated), at most `limit`.
  std::vector<TowView> wait(std::uint64_t& seen, std::chrono::milliseconds limit) const {
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, limit, [&] { return version_ != seen || stopped_; });
    seen = version_;
    return copy();
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
  std::vector<TowView> copy() const {
    std::vector<TowView> out;
    for (const auto& [i, v] : views_) out.push_back(v);
    return out;
  }
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::map<std::size_t, TowView> views_;
  std::map<std::size_t, std::deque<Decision>> decisions_;
  std::uint64_t version_ = 1;
  bool stopped_ = false;
};

}  // namespace towline::coordinator
