// Which execution endpoint gets the next request. Pure.
#pragma once
#include <optional>
#include <set>
#include <span>

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

/// So many more requests are in flight to a steady endpoint before an unsteady one gets one.
inline constexpr int kUnsteady = 4;

/// The endpoint with the fewest requests in flight among those whose last answer was good (`prefer` first, if it is one
/// of them; of those that are alike one of which too little is known, else who is fast is never found out); ones that
/// failed only while there is no other, and slow ones (core/ranking) only while no fast one is free before they answer.
/// `except` is never chosen, nor an endpoint that has no block `number`.
Choice choose_el(std::span<const Endpoint* const> endpoints, const std::set<std::size_t>& except,
                 std::optional<std::uint64_t> number, std::optional<std::size_t> prefer, absl::Time now,
                 Work w = Work::headers);

}  // namespace towline::fetcher
