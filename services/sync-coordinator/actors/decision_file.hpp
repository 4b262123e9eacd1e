// The decisions on disk: they tell what happened when the coordinator itself was restarted. One JSON document, replaced
// by rename; as bounded as the decisions are.
#pragma once
#include <absl/status/statusor.h>

#include <deque>
#include <string>

#include "services/sync-coordinator/core/decision_log.hpp"

namespace towline::coordinator {

/// Empty where there is no file. DATA_LOSS: it is none of ours. INVALID_ARGUMENT: it cannot be read.
absl::StatusOr<std::deque<Decision>> load_decisions(const std::string& path);
absl::Status save_decisions(const std::string& path, const std::deque<Decision>& decisions);

}  // namespace towline::coordinator
