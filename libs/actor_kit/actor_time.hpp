// The time of an actor: steady_now(), but by the clock of its timers, which a test moves.
#pragma once
#include <absl/time/time.h>

#include <chrono>

#include "libs/base/steady_time.hpp"

namespace towline {

template <class Self>
absl::Time actor_now(Self* self) {
  return steady_now() + absl::FromChrono(self->clock().now() - std::chrono::steady_clock::now());
}

/// How long a timer has to run until `at`: at least a millisecond, so that `at` has passed when it goes off.
inline std::chrono::milliseconds timer_until(absl::Time at, absl::Time now) {
  const absl::Duration wait = std::min(at - now, absl::Hours(1));
  return std::chrono::milliseconds{std::max<std::int64_t>(1, absl::ToInt64Milliseconds(wait) + 1)};
}

}  // namespace towline
