// Which execution endpoint gets the next request. Pure.
#pragma once
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "services/remote-fetcher/core/endpoint.hpp"

namespace towline::fetcher {

struct Choice {
  /// Ask this one now.
  std::optional<std::size_t> endpoint;
  /// Nobody is free, but somebody may be asked later: not before this, unless a request comes back. InfiniteFuture with
  /// `possible` false: there is nobody at all.
  absl::Time not_before = absl::InfiniteFuture();
  bool possible = false;
};

/// All choices of one moment, which looks at each endpoint once.
class Chooser {
 public:
  Chooser(std::span<const Endpoint* const> endpoints, absl::Time now);

  /// The endpoint with the fewest requests in flight among those whose last answer was good (`prefer` first, if it is
  /// one of them); ones that failed only while there is no other, and slow ones (core/ranking) while a fast one is free
  /// sooner than they answer, or when their rank is to be found out anew. `except` is never chosen, nor an endpoint
  /// that has no block `number`, nor another than `only`.
  Choice choose(const std::set<std::size_t>& except, std::optional<std::uint64_t> number,
                std::optional<std::size_t> prefer, Work w, std::optional<std::size_t> only = {}) const;
  /// Endpoint `i` is as it was no more.
  void look_again(std::size_t i);

 private:
  struct Seen {
    /// For blocks, now or after a back-off.
    bool usable = false;
    /// A rate-limited endpoint is healthy, but if it has to wait for long the failed ones are worth a try.
    bool good = false;
    absl::Time next;
    std::optional<std::uint64_t> gone;
  };
  const std::span<const Endpoint* const> endpoints_;
  const absl::Time now_;
  std::vector<Seen> seen_;
};

/// One choice.
inline Choice choose_el(std::span<const Endpoint* const> endpoints, const std::set<std::size_t>& except,
                        std::optional<std::uint64_t> number, std::optional<std::size_t> prefer, absl::Time now,
                        Work w = Work::headers) {
  return Chooser{endpoints, now}.choose(except, number, prefer, w);
}

}  // namespace towline::fetcher
