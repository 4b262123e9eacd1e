// Which requests wait for an execution endpoint, and which may be sent now; choice.hpp picks the endpoint. Requests
// that a caller waits for come first, then the oldest. Pure.
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

/// How long a request waits while no source answers anything.
inline constexpr absl::Duration kPatience = absl::Seconds(20);

/// The requirements of a request.
struct Wanted {
  Work work = Work::headers;
  /// The number of its calls that one request may hold.
  std::size_t calls = 1;
  /// Endpoints not to be asked.
  std::set<std::size_t> except;
  /// The only endpoint that may be asked.
  std::optional<std::size_t> only;
  /// A block that the endpoint must have.
  std::optional<std::uint64_t> number;
  std::optional<std::size_t> prefer;
  /// Since when the work has waited, including attempts at other endpoints.
  absl::Time since = absl::InfinitePast();
  /// A caller waits for this very answer.
  bool urgent = false;
};

/// One of the requests that an endpoint may have in flight, with at most `calls` calls.
struct Slot {
  std::size_t endpoint = 0;
  Work work = Work::headers;
  std::size_t calls = 0;
};

class WaitingLine {
 public:
  /// RESOURCE_EXHAUSTED from add(): `most` requests wait already.
  explicit WaitingLine(std::size_t most) : most_{most} {}

  absl::Status add(std::uint64_t id, Wanted w);
  /// Withdraws a waiting request.
  void forget(std::uint64_t id);
  struct Outcome {
    std::uint64_t id = 0;
    absl::StatusOr<Slot> slot;
  };
  /// Returns the requests that wait no longer. A slot already counts as a request of its endpoint. UNAVAILABLE: no
  /// endpoint can serve it. DEADLINE_EXCEEDED: out_of_patience().
  std::vector<Outcome> go_on(std::span<Endpoint* const> endpoints, absl::Time now);
  /// When go_on() may have news, unless an endpoint changes earlier.
  absl::Time next() const { return next_; }
  std::size_t size() const { return since_.size(); }

  /// A source answered.
  void on_progress(absl::Time now) { progress_ = now; }
  /// Whether more than kPatience has passed since `since`, and since any source last answered a request.
  bool out_of_patience(absl::Time since, absl::Time now) const { return now - std::max(since, progress_) > kPatience; }

 private:
  /// Requests with equal requirements. If one finds no endpoint, the others of its group find none either; only the
  /// block makes a difference, where an endpoint lacks old ones. So a change costs a look at each group, and not at
  /// each request.
  struct Group {
    /// Not urgent.
    bool later = false;
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
  /// Wanted::since of all requests that wait.
  std::multiset<absl::Time> since_;
  absl::Time next_ = absl::InfiniteFuture();
  absl::Time progress_ = absl::InfinitePast();
  static constexpr absl::Duration kRankEach = absl::Milliseconds(200);
  absl::Time ranked_ = absl::InfinitePast();
};

}  // namespace towline::fetcher
