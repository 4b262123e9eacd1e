// Who waits to ask an execution endpoint, and who may do so now: choice.hpp says which endpoint. Questions of callers
// come first, then whoever waits longest. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <compare>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "services/remote-fetcher/core/endpoint.hpp"

namespace towline::fetcher {

/// How long work waits while no source answers anything.
inline constexpr absl::Duration kPatience = absl::Seconds(20);

/// What a request is wanted for.
struct Wanted {
  Work work = Work::headers;
  /// Calls of it that one request may hold.
  std::size_t calls = 1;
  /// Not to be asked.
  std::set<std::size_t> except;
  /// No other is.
  std::optional<std::size_t> only;
  /// The endpoint must have it.
  std::optional<std::uint64_t> number;
  std::optional<std::size_t> prefer;
  /// Since when it has waited, other endpoints before included.
  absl::Time since = absl::InfinitePast();
  /// A caller waits for this very answer.
  bool urgent = false;
};

/// One of the requests that an endpoint may have in flight, of `calls` calls at most.
struct Slot {
  std::size_t endpoint = 0;
  Work work = Work::headers;
  std::size_t calls = 0;
};

class WaitingLine {
 public:
  /// RESOURCE_EXHAUSTED: as many wait as may.
  explicit WaitingLine(std::size_t most) : most_{most} {}

  absl::Status add(std::uint64_t id, Wanted w);
  /// It waits no more.
  void forget(std::uint64_t id);
  struct Outcome {
    std::uint64_t id = 0;
    absl::StatusOr<Slot> slot;
  };
  /// Those who wait no more. A slot is counted as a request of its endpoint. UNAVAILABLE: no endpoint can be used for
  /// it. DEADLINE_EXCEEDED: out_of_patience().
  std::vector<Outcome> go_on(std::span<Endpoint* const> endpoints, absl::Time now);
  /// When go_on() may have more to say, if nothing is heard of an endpoint before.
  absl::Time next() const { return next_; }
  std::size_t size() const { return since_.size(); }

  /// A source has answered.
  void on_progress(absl::Time now) { progress_ = now; }
  /// No source has answered any request for kPatience, nor was one asked before `since`.
  bool out_of_patience(absl::Time since, absl::Time now) const { return now - std::max(since, progress_) > kPatience; }

 private:
  /// Where one finds no endpoint, nobody does who wants the same; the block alone may make a difference, while an
  /// endpoint has gone ones. So a change costs a look at each group, and not at each who waits.
  struct Group {
    bool later = false;  // not urgent
    Work work = Work::headers;
    std::optional<std::size_t> prefer, only;
    std::set<std::size_t> except;
    auto operator<=>(const Group&) const = default;
  };
  struct Waiting {
    std::uint64_t id = 0, place = 0;
    std::size_t calls = 0;
    std::optional<std::uint64_t> number;
    absl::Time since;
  };
  using Queue = std::deque<Waiting>;
  void leave(Queue& queue, Queue::iterator who);
  const std::size_t most_;
  std::uint64_t last_place_ = 0;
  std::map<Group, Queue> groups_;
  /// Of all who wait.
  std::multiset<absl::Time> since_;
  absl::Time next_ = absl::InfiniteFuture();
  absl::Time progress_ = absl::InfinitePast();
  static constexpr absl::Duration kRankEach = absl::Milliseconds(200);
  absl::Time ranked_ = absl::InfinitePast();
};

}  // namespace towline::fetcher
