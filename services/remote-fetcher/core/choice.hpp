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

/// The endpoint with the fewest requests in flight among those whose last answer was good (`prefer` first, if it is one
/// of them); ones that failed only while there is no other, and slow ones
/// (core/ranking) while a fast one is free sooner than they answer, or when their rank is to be found out anew.
/// `except` is never chosen, nor an endpoint that has no block `number`.
Choice choose_el(std::span<const Endpoint* const> endpoints, const std::set<std::size_t>& except,
                 std::optional<std::uint64_t> number, std::optional<std::size_t> prefer, absl::Time now,
                 Work w = Work::headers);

}  // namespace towline::fetcher
