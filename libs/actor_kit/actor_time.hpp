// The time of an actor: steady_now(), but by the clock of its timers, which a test moves.
#pragma once
#include <absl/time/time.h>

#include <chrono>

#include "libs/base/steady_time.hpp"

namespace towline {

/// The offset between the two clocks is measured once. Measured each time, it would vary, and time would go back.
inline absl::Time steady_time(std::chrono::steady_clock::time_point t) {
  static const absl::Time zero = steady_now() - absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
  return zero + absl::FromChrono(t.time_since_epoch());
}

template <class Self>
absl::Time actor_now(Self* self) {
  return steady_time(self->clock().now());
}

/// How long a timer has to run until `at`: at least a millisecond, so that `at` has passed when it goes off.
inline std::chrono::milliseconds timer_until(absl::Time at, absl::Time now) {
  const absl::Duration wait = std::min(at - now, absl::Hours(1));
  return std::chrono::milliseconds{std::max<std::int64_t>(1, absl::ToInt64Milliseconds(wait) + 1)};
}

}  // namespace towline
