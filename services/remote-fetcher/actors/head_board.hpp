// The last snapshot of every endpoint and the one that is followed. Pollers write, gRPC handlers wait. Thread safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "libs/base/steady_time.hpp"
#include "services/remote-fetcher/core/heads.hpp"

namespace towline::fetcher {

class HeadBoard {
 public:
  /// As HeadChoice has them.
  HeadBoard(absl::Duration late_after, absl::Duration stale_after, absl::Duration stalled_after)
      : choice_{late_after, stale_after, stalled_after} {}

  /// False: it contradicts what is final here and another endpoint agrees with that.
  bool put(HeadSnapshot s, AnchorView anchor) {
    bool outvoted = false;
    change([&] {
      const std::string endpoint = s.endpoint;
      choice_.put(std::move(s), anchor);
      outvoted = choice_.outvoted(endpoint, steady_now());
      if (outvoted) choice_.drop(endpoint);
    });
    return !outvoted;
  }
  /// A header of `endpoint` does not verify. True: others' do, so it lies; else it may be we who miss a rule, and that
  /// is noted if it is so at `most` sources.
  bool on_bad_header(const std::string& endpoint, const std::string& what, bool most) {
    bool lie = false;
    change([&] {
      choice_.drop(endpoint);
      lie = choice_.others_verify(endpoint, steady_now());
      if (!lie && most) note_unknown_rules(what);
    });
    return lie;
  }
  void drop(const std::string& endpoint) {
    change([&] { choice_.drop(endpoint); });
  }
  std::optional<HeadSnapshot> of(const std::string& endpoint) const {
    std::lock_guard lock{mutex_};
    return choice_.of(endpoint);
  }
  bool stalled(const std::string& endpoint) const {
    std::lock_guard lock{mutex_};
    return choice_.stalled(endpoint);
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

  /// The block that the callers hold as final.
  std::optional<eth::BlockId> anchor() const {
    std::lock_guard lock{mutex_};
    return anchor_;
  }
  void raise_anchor(const eth::BlockId& a) {
    std::lock_guard lock{mutex_};
    if (!anchor_) choice_.drop_unchecked();
    if (!anchor_ || a.number > anchor_->number) anchor_ = a;
  }
  /// Up to here a chain does not change: the anchor, or the followed endpoint's finalized block if that is higher.
  std::uint64_t final_up_to() {
    std::lock_guard lock{mutex_};
    const auto s = choose();
    return std::max(anchor_ ? anchor_->number : 0, s && s->finalized ? s->finalized->number : 0);
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
  void note_unknown_rules(std::string what) {
    unknown_rules_ = std::move(what);
    unknown_rules_until_ = steady_now() + absl::Minutes(1);
  }
  std::optional<HeadSnapshot> choose() {
    const absl::Time now = steady_now();
    auto s = choice_.choose(now);
    if (s && now < unknown_rules_until_) s->unknown_rules = unknown_rules_;
    return s;
  }
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  HeadChoice choice_;
  std::string unknown_rules_;
  absl::Time unknown_rules_until_ = absl::InfinitePast();
  std::optional<eth::BlockId> anchor_;
  std::uint64_t version_ = 1;
  bool stopped_ = false;
};

}  // namespace towline::fetcher
