// The file that keeps the decisions across a restart of the coordinator: one JSON document, bounded like the decision
// log.
#pragma once
#include <absl/status/statusor.h>

#include <deque>
#include <string>

#include "services/sync-coordinator/core/decision_log.hpp"

namespace towline::coordinator {

/// Returns an empty list if there is no file. DATA_LOSS: not a decision file. INVALID_ARGUMENT: the file cannot be
/// read.
absl::StatusOr<std::deque<Decision>> load_decisions(const std::string& path);
/// The text of the file.
std::string encode_decisions(const std::deque<Decision>& decisions);

}  // namespace towline::coordinator
