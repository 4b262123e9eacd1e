// The limit of every wait for an event in a test: nothing takes so long on the slowest machine, only what hangs does.
// Below the limit of a whole test program (cmake/TowlineTargets.cmake), so that the test says what it waited for.
#pragma once
#include <absl/time/time.h>

namespace towline::testing {

inline const absl::Duration kHang = absl::Minutes(5);

}  // namespace towline::testing
