// Which execution endpoint gets the next request. Pure.
#pragma once
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "services/remote-fetcher/core/endpoint.hpp"

namespace towline::fetcher {

struct Choice {
  /// The endpoint to ask now.
  std::optional<std::size_t> endpoint;
  /// If no endpoint is free: when to try again, unless a request returns earlier. InfiniteFuture with `possible` false:
  /// no endpoint can be used at all.
  absl::Time not_before = absl::InfiniteFuture();
  bool possible = false;
};

/// An unsteady endpoint is chosen as if it had this many more requests in flight.
inline constexpr int kUnsteady = 4;

/// The choices of one moment. The states of all endpoints are computed once, for all choices.
class Chooser {
 public:
  Chooser(std::span<const Endpoint* const> endpoints, absl::Time now);

  /// Chooses the endpoint with the fewest requests in flight among those whose last answer was good; `prefer` first, if
  /// it qualifies. Among equals an endpoint with too few answers comes first, or its speed would never be known. One
  /// that failed is chosen only if there is no other. A slow one (core/ranking) is passed over while a fast one would
  /// be free before the slow one could answer. Never chosen: `except`, all but `only`, and endpoints that lack block
  /// `number`.
  Choice choose(const std::set<std::size_t>& except, std::optional<std::uint64_t> number,
                std::optional<std::size_t> prefer, Work w, std::optional<std::size_t> only = {}) const;
  /// Endpoint `i` has changed.
  void look_again(std::size_t i);

 private:
  struct Seen {
    /// Blocks may be asked of the endpoint, now or after a back-off.
    bool usable = false;
    /// A rate-limited endpoint is healthy; but if its wait is long, the failed ones are worth a try.
    bool good = false;
    absl::Time next;
    std::optional<std::uint64_t> gone;
  };
  const std::span<const Endpoint* const> endpoints_;
  const absl::Time now_;
  std::vector<Seen> seen_;
};

/// A single choice.
inline Choice choose_el(std::span<const Endpoint* const> endpoints, const std::set<std::size_t>& except,
                        std::optional<std::uint64_t> number, std::optional<std::size_t> prefer, absl::Time now,
                        Work w = Work::headers) {
  return Chooser{endpoints, now}.choose(except, number, prefer, w);
}

}  // namespace towline::fetcher
