// Which endpoints are slow, so that others are asked first. Uses the median of recent answers, with hysteresis, so that
// two similar endpoints do not swap places all the time. Pure.
#pragma once
#include <optional>
#include <span>

#include "services/remote-fetcher/core/endpoint.hpp"

namespace towline::fetcher {

/// An endpoint becomes slow when it takes kSlow times as long as the fastest one, both per request and per call. It is
/// fast again below kFastAgain times.
inline constexpr double kSlow = 4, kFastAgain = 2;
/// Smaller differences do not count.
inline constexpr absl::Duration kNoDifference = absl::Milliseconds(50);

/// Sets Endpoint::slow() of all endpoints for `w`, headers or bodies.
void rank(std::span<Endpoint* const> endpoints, Work w, absl::Time now);

}  // namespace towline::fetcher
