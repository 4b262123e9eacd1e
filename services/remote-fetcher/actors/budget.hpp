// Bytes that all answers in flight may have together: a request takes its share before it leaves, and gives it back
// when its answer is done with. Who holds a share takes no other one: waiting for it could last for ever. Thread safe.
#pragma once
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

namespace towline::fetcher {

class Budget {
 public:
  explicit Budget(std::size_t bytes) : free_{bytes} {}
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  class Share {
   public:
    Share(Share&& o) noexcept : of_{std::exchange(o.of_, nullptr)}, bytes_{o.bytes_} {}
    Share& operator=(Share&& o) noexcept {
      std::swap(of_, o.of_);
      std::swap(bytes_, o.bytes_);
      return *this;
    }
    ~Share() {
      if (of_ != nullptr) of_->give_back(bytes_);
    }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    /// The rest is given back.
    void keep(std::size_t bytes) {
      if (bytes >= bytes_) return;
      of_->give_back(bytes_ - bytes);
      bytes_ = bytes;
    }

   private:
    friend class Budget;
    Share(Budget* of, std::size_t bytes) : of_{of}, bytes_{bytes} {}
    Budget* of_;
    std::size_t bytes_;
  };

  /// First come, first served. `bytes` is at most the whole budget. nullopt: cancelled.
  std::optional<Share> take(std::size_t bytes, const std::function<bool()>& cancelled) {
    std::unique_lock lock{mutex_};
    const auto me = line_.insert(line_.end(), next_++);
    const auto my_turn = [&] { return me == line_.begin() && free_ >= bytes; };
    bool given_up = false;
    while (!my_turn() && !given_up) {
      changed_.wait_for(lock, std::chrono::milliseconds{100});
      lock.unlock();
      given_up = cancelled();
      lock.lock();
    }
    const bool mine = my_turn();
    line_.erase(me);
    if (mine) free_ -= bytes;
    lock.unlock();
    changed_.notify_all();
    if (!mine) return std::nullopt;
    return Share{this, bytes};
  }

 private:
  void give_back(std::size_t bytes) {
    {
      const std::lock_guard lock{mutex_};
      free_ += bytes;
    }
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t free_;
  std::uint64_t next_ = 0;
  std::set<std::uint64_t> line_;
};

}  // namespace towline::fetcher
