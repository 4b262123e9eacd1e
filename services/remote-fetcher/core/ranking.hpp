// Which endpoints are slow, or unsteady: others are asked before them. By the medians and the slowest of the last
// answers, and with hysteresis, so that two endpoints which are about alike do not change places all the time. Pure.
#pragma once
#include <optional>
#include <span>

#include "services/remote-fetcher/core/endpoint.hpp"

namespace towline::fetcher {

/// A slow endpoint takes so many times as long as the fastest, for a request and for a call of it, and is slow until it
/// takes less than kFastAgain times as long.
inline constexpr double kSlow = 4, kFastAgain = 2;
/// The quantile by which an endpoint is found to be unsteady.
inline constexpr double kTail = 0.95;
/// So long it keeps a rank that it is not measured for.
inline constexpr absl::Duration kForgetRank = absl::Minutes(15);
/// A difference below this is none.
inline constexpr absl::Duration kNoDifference = absl::Milliseconds(50);

/// Sets Endpoint::slow() and unsteady() of each for `w`, headers or bodies.
void rank(std::span<Endpoint* const> endpoints, Work w, absl::Time now);

}  // namespace towline::fetcher
