// Runs the search for a common block on the present views: how it begins, and what follows from each pair of answers.
// Pure.
#pragma once
#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "services/sync-coordinator/core/ancestor_search.hpp"
#include "services/sync-coordinator/core/follow_up.hpp"

namespace towline::coordinator {

using Answer = absl::StatusOr<std::vector<eth::BlockRef>>;

/// Starts a search, or returns what to do if the source's head is below our finalized block. `why` is logged.
Next begin_search(AncestorSearch& s, const std::string& why, Views& v, Report& report, absl::Time now);
/// The next step after both sides have answered.
Next after_answers(AncestorSearch& s, const Answer& remote, const Answer& local, Views& v, Report& report,
                   absl::Time now);

}  // namespace towline::coordinator
