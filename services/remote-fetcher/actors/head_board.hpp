// What every endpoint said last, and what the vote makes of it. Pollers write, gRPC handlers wait. Thread safe.
#pragma once

#include <absl/time/clock.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>

#include "libs/base/steady_time.hpp"
#include "services/remote-fetcher/core/chain_clock.hpp"

namespace towline::fetcher {

class HeadBoard {
 public:
  HeadBoard(Vote vote, ChainClock clock) : vote_{std::move(vote)}, clock_{std::move(clock)} {}

  /// What the next look at `endpoint` compares.
  std::vector<std::uint64_t> heights(const std::string& endpoint) const {
    std::lock_guard lock{mutex_};
    auto out = vote_.heights(endpoint, steady_now());
    for (const auto& [id, confirmed_finalized] : confirmed_finalized_)
      if (std::find(out.begin(), out.end(), confirmed_finalized.number) == out.end())
        out.push_back(confirmed_finalized.number);
    return out;
  }
  /// As ChainClock::heard() has it.
  void heard(const std::string& endpoint, absl::Time head) {
    std::lock_guard lock{mutex_};
    clock_.heard(endpoint, head, steady_now());
  }
  /// What a block may not be far ahead of: our time, that of a clock that was set right since the start, or the chain's
  /// where most say that both are late.
  absl::Time chain_now() const {
    std::lock_guard lock{mutex_};
    return std::max({steady_now(), absl::Now(), clock_.at_least(steady_now())});
  }
  /// As Vote::put() has it.
  void put(contract::HeadSnapshot s, const std::vector<std::uint64_t>& asked,
           const std::map<std::uint64_t, Hash32>& has) {
    change([&] { vote_.put(std::move(s), asked, has); });
  }
  /// A header of `endpoint` does not verify. True: others' do, so it lies; else it may be we who miss a rule, and that
  /// is noted if it is so at `most` sources.
  bool on_bad_header(const std::string& endpoint, const std::string& what, bool most) {
    bool lie = false;
    change([&] {
      vote_.drop(endpoint);
      lie = vote_.others_verify(endpoint, steady_now());
      if (!lie && most) note_unknown_rules(what);
    });
    return lie;
  }
  void drop(const std::string& endpoint) {
    change([&] { vote_.drop(endpoint); });
  }
  std::optional<contract::HeadSnapshot> of(const std::string& endpoint) const {
    std::lock_guard lock{mutex_};
    return vote_.of(endpoint);
  }
  bool stalled(const std::string& endpoint) const {
    std::lock_guard lock{mutex_};
    return vote_.stalled(endpoint);
  }
  bool anybody() const {
    std::lock_guard lock{mutex_};
    return vote_.anybody(steady_now());
  }
  Vote::Standing standing(const std::string& endpoint) const {
    std::lock_guard lock{mutex_};
    return vote_.standing(endpoint, steady_now());
  }
  std::optional<contract::HeadSnapshot> current() {
    std::lock_guard lock{mutex_};
    return choose({});
  }
  /// Waits for news after `seen` (updated), at most `limit`: for a subscriber that holds `confirmed_finalized` as
  /// final.
  std::optional<contract::HeadSnapshot> wait(std::uint64_t& seen, std::chrono::milliseconds limit,
                                             const std::optional<eth::BlockId>& confirmed_finalized) {
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, limit, [&] { return version_ != seen || stopped_; });
    seen = version_;
    return choose(confirmed_finalized);
  }

  /// A check that every source fails. It is forgotten after a while, so that a block that is not asked for again alarms
  /// nobody.
  void set_unknown_rules(std::string what) {
    change([&] { note_unknown_rules(std::move(what)); });
  }
  /// A block verifies: whatever was said before.
  void clear_unknown_rules() {
    std::unique_lock lock{mutex_};
    if (unknown_rules_.empty()) return;
    unknown_rules_.clear();
    ++version_;
    lock.unlock();
    changed_.notify_all();
  }

  std::string unknown_rules() const {
    std::lock_guard lock{mutex_};
    return steady_now() < unknown_rules_until_ ? unknown_rules_ : std::string{};
  }

  /// Sources are compared at a subscriber's confirmed finalized block while it watches.
  class Watch {
   public:
    Watch(HeadBoard& board, const std::optional<eth::BlockId>& confirmed_finalized) : board_{board} {
      std::lock_guard lock{board_.mutex_};
      id_ = ++board_.last_watch_;
      if (confirmed_finalized) board_.confirmed_finalized_[id_] = *confirmed_finalized;
    }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch() {
      std::lock_guard lock{board_.mutex_};
      board_.confirmed_finalized_.erase(id_);
    }

   private:
    HeadBoard& board_;
    std::uint64_t id_ = 0;
  };

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
  void note_unknown_rules(std::string what) {
    unknown_rules_ = std::move(what);
    unknown_rules_until_ = steady_now() + absl::Minutes(1);
  }
  std::optional<contract::HeadSnapshot> choose(const std::optional<eth::BlockId>& confirmed_finalized) {
    const absl::Time now = steady_now();
    auto s = vote_.choose(now, confirmed_finalized);
    if (s && now < unknown_rules_until_) s->unknown_rules = unknown_rules_;
    if (s) s->chain_time = clock_.at_least(now);
    return s;
  }
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Vote vote_;
  ChainClock clock_;
  std::string unknown_rules_;
  absl::Time unknown_rules_until_ = absl::InfinitePast();
  std::uint64_t last_watch_ = 0;
  std::map<std::uint64_t, eth::BlockId> confirmed_finalized_;
  std::uint64_t version_ = 1;
  bool stopped_ = false;
};

}  // namespace towline::fetcher
