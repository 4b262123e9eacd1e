// What follows from the end of a command, and from a block that contradicts our finalized chain. Updates the views and
// the report, and names the next step. Pure.
#pragma once
#include "services/sync-coordinator/core/next.hpp"
#include "services/sync-coordinator/core/outcome_table.hpp"
#include "services/sync-coordinator/core/report.hpp"
#include "services/sync-coordinator/core/views.hpp"

namespace towline::coordinator {

/// The current import, or the last one.
struct ImportRun {
  contract::ImportRange range;
  Hash32 head_before;
  /// `range.parent` was found by a search.
  bool searched = false;
  /// The import continues where the previous one ended.
  bool goes_on = false;
  std::uint64_t blocks() const { return range.tip.number - range.parent.number; }
  /// The import leads to another branch.
  bool switches() const { return range.parent.hash != head_before; }
};

/// `run`: the import that ended. For other commands it is the last import, and is not used.
Next follow_up(Reaction reaction, const contract::CommandResult& r, const ImportRun& run, Views& v, Report& report,
               absl::Time now);

/// The leading branch has a different block at a height that is finalized here.
Next contradicted(const eth::BlockId& ours, const std::optional<eth::BlockId>& theirs, Views& v, Report& report,
                  absl::Time now);
void diverged(const eth::BlockId& ours, const std::optional<eth::BlockId>& theirs, Views& v, Report& report,
              absl::Time now);
/// Returns false if no other source can lead.
bool demote(const std::string& why, Views& v, Report& report, absl::Time now);

/// True while the tow shows NEEDS_OPERATOR and retries a block that the EL does not accept or execute.
bool needs_operator(const Views& v, const Report& report);
/// No source serves the blocks that the tow needs.
void wait_for_blocks(const std::string& why, const Views& v, Report& report, absl::Time now);
/// The goal is a block that the EL called INVALID, or follows one.
void wait_for_other_branch(Views& v, Report& report, absl::Time now);
/// Logs an import that starts, and updates the state that the tow shows.
void tell_import(const ImportRun& run, const Views& v, Report& report, absl::Time now);
/// Updates the state that the tow shows when a snapshot brings, or ends, the source's trouble with blocks. `runs`: the
/// import has not ended. `before`: the trouble in the earlier snapshot.
void tell_new_heads(const ImportRun& run, bool runs, const std::optional<contract::SourceTrouble>& before,
                    const Views& v, Report& report, absl::Time now);
/// Updates the state that the tow shows when a running import makes progress.
void tell_progress(const ImportRun& run, const contract::EngineState& s, const Views& v, Report& report,
                   absl::Time now);

}  // namespace towline::coordinator
