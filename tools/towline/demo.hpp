// `towline demo`: everything that Towline does, on a simulated chain, checked step by step.
#pragma once

namespace towline::cli {

/// Exit code 0: every step happened as it should; 1: one did not, and it was said which.
int demo();

}  // namespace towline::cli
