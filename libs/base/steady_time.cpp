#include "libs/base/steady_time.hpp"

#include <absl/time/clock.h>

#include <chrono>

namespace towline {

absl::Time steady_now() {
  using Clock = std::chrono::steady_clock;
  static const struct {
    absl::Time wall;
    Clock::time_point steady;
  } start{absl::Now(), Clock::now()};
  return start.wall + absl::FromChrono(Clock::now() - start.steady);
}

absl::Duration steady_ahead() { return steady_now() - absl::Now(); }

}  // namespace towline
