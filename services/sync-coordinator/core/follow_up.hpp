// What follows from how a command ended, and from a block that contradicts what is final: the views and what is said of
// the tow are changed, and the next thing to do is named. Pure.
#pragma once
#include "services/sync-coordinator/core/next.hpp"
#include "services/sync-coordinator/core/outcome_table.hpp"
#include "services/sync-coordinator/core/report.hpp"
#include "services/sync-coordinator/core/views.hpp"

namespace towline::coordinator {

/// An import that is under way, or was the last one.
struct ImportRun {
  contract::ImportRange range;
  Hash32 head_before;
  /// Its parent was found by a search.
  bool searched = false;
  /// It goes on where the one before it ended.
  bool goes_on = false;
  std::uint64_t blocks() const { return range.tip.number - range.parent.number; }
  /// It leads to another branch.
  bool switches() const { return range.parent.hash != head_before; }
};

/// `run`: the import that ended; of another command it is the last one and does not matter.
Next follow_up(Reaction reaction, const contract::CommandResult& r, const ImportRun& run, Views& v, Report& report,
               absl::Time now);

/// The branch that leads has another block than one that is final here.
Next contradicted(const eth::BlockId& ours, const std::optional<eth::BlockId>& theirs, Views& v, Report& report,
                  absl::Time now);
void diverged(const eth::BlockId& ours, const std::optional<eth::BlockId>& theirs, Views& v, Report& report,
              absl::Time now);
/// False: there is no other source that may lead.
bool demote(const std::string& why, Views& v, Report& report, absl::Time now);

/// Shown while it is tried again and again, until the EL takes a block.
bool needs_operator(const Views& v, const Report& report);
/// No source serves the blocks that are needed.
void wait_for_blocks(const std::string& why, const Views& v, Report& report, absl::Time now);
/// An import begins.
void tell_import(const ImportRun& run, const Views& v, Report& report, absl::Time now);

}  // namespace towline::coordinator
