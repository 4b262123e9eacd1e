// `towline demo`: everything that Towline does, on a simulated chain, checked step by step.
#pragma once

namespace towline::cli {

/// Returns the exit code. 0: every step succeeded; 1: one failed, and its name was printed.
int demo();

}  // namespace towline::cli
