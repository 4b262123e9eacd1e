// Which endpoints are slow or unsteady, so that others are asked before them. Uses the median and the 0.95 quantile of
// recent answers, with hysteresis, so that two similar endpoints do not swap places all the time. Pure.
#pragma once
#include <optional>
#include <span>

#include "services/remote-fetcher/core/endpoint.hpp"

namespace towline::fetcher {

/// An endpoint becomes slow when it takes kSlow times as long as the fastest one, both per request and per call. It is
/// fast again below kFastAgain times.
inline constexpr double kSlow = 4, kFastAgain = 2;
/// The quantile that makes an endpoint unsteady.
inline constexpr double kTail = 0.95;
/// An endpoint is also unsteady when others answered first more than kOvertaken of its requests, since the time of a
/// request that was overtaken is not known. It is steady again below kSteadyAgain.
inline constexpr double kOvertaken = 0.1, kSteadyAgain = 0.05;
/// A rank is dropped when the endpoint was not measured for this long.
inline constexpr absl::Duration kForgetRank = absl::Minutes(15);
/// Smaller differences do not count.
inline constexpr absl::Duration kNoDifference = absl::Milliseconds(50);

/// Sets Endpoint::slow() and unsteady() of all endpoints for `w`, headers or bodies.
void rank(std::span<Endpoint* const> endpoints, Work w, absl::Time now);

}  // namespace towline::fetcher
