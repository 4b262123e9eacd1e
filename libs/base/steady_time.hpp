// The time that waits, ages and deadlines are reckoned in. Only actors and edges read it: a core gets it as `now`.
#pragma once
#include <absl/time/time.h>

namespace towline {

/// True when the process starts, and from then on only the time that has passed: a clock that is set does not move it.
/// It differs from the wall clock by every such step, so it is not for timestamps, JWTs or people, nor for another
/// process.
absl::Time steady_now();

/// How far that time is ahead of the wall clock, by the clock's steps since the start: what was taken by one and is
/// needed by the other is moved by this.
absl::Duration steady_ahead();

}  // namespace towline
