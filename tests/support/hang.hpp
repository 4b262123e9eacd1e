// The limit of every wait for an event in a test. Only a hang takes this long, even on the slowest machine. It is below
// the limit of a test program (cmake/TowlineTargets.cmake), so that the test says what it waited for.
#pragma once
#include <absl/time/time.h>

namespace towline::testing {

inline const absl::Duration kHang = absl::Minutes(5);

}  // namespace towline::testing
