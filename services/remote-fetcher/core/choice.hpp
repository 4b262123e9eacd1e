// Which execution endpoint gets the next request. Pure.
#pragma once
#include <optional>
#include <set>
#include <span>

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

/// Chooses the endpoint with the fewest requests in flight among those whose last answer was good; `prefer` first, if
/// it qualifies. Among equals an endpoint with too few answers comes first, or its speed would never be known. One that
/// failed is chosen only if there is no other. A slow one (core/ranking) is passed over while a fast one would be free
/// before the slow one could answer. Never chosen: `except`, and endpoints that lack block `number`.
Choice choose_el(std::span<const Endpoint* const> endpoints, const std::set<std::size_t>& except,
                 std::optional<std::uint64_t> number, std::optional<std::size_t> prefer, absl::Time now,
                 Work w = Work::headers);

}  // namespace towline::fetcher
