// Which endpoints are slow: others are asked before them. By the medians of the last answers, and with hysteresis, so
// that two endpoints which are about alike do not change places all the time. Pure.
#pragma once
#include <optional>
#include <span>

#include "services/remote-fetcher/core/endpoint.hpp"

namespace towline::fetcher {

/// A slow endpoint takes so many times as long as the fastest, for a request and for a call of it, and is slow until it
/// takes less than kFastAgain times as long.
inline constexpr double kSlow = 4, kFastAgain = 2;
/// A difference below this is none.
inline constexpr absl::Duration kNoDifference = absl::Milliseconds(50);

/// Sets Endpoint::slow() of each for `w`, headers or bodies.
void rank(std::span<Endpoint* const> endpoints, Work w, absl::Time now);

}  // namespace towline::fetcher
