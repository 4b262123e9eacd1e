// The exit code of a service that ends itself.
#pragma once

namespace towline {

/// A part of the process failed or hangs. Its supervisor starts it again.
inline constexpr int kExitBroken = 3;

}  // namespace towline
