// The time for waits, ages and deadlines. Only actors and edges read it: a core gets it as `now`.
#pragma once
#include <absl/time/time.h>

namespace towline {

/// The wall clock at the start of the process, plus the time that has passed since: setting the clock does not move it.
/// It differs from the wall clock by every such step, so it is not for timestamps, JWTs or people, nor for another
/// process.
absl::Time steady_now();

/// How far that time is ahead of the wall clock, by the clock's steps since the start: the difference for converting a
/// time of one into a time of the other.
absl::Duration steady_ahead();

}  // namespace towline
