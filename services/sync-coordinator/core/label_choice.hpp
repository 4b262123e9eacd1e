// Which safe and finalized blocks to ask the EL for. The labels follow the vote and are set only on our own chain.
// Finalized never moves back; safe does so only with a switch of branches. Pure.
#pragma once
#include <optional>
#include <vector>

#include "libs/contract/command.hpp"
#include "services/sync-coordinator/core/decision_log.hpp"
#include "services/sync-coordinator/core/views.hpp"

namespace towline::coordinator {

/// Adds to `r` the labels to set once its tip is the head.
contract::ImportRange with_labels(contract::ImportRange r, const Views& v, absl::Time now);

/// The labels to set first after an EL restart, if the EL shows an older finalized block than was confirmed. nullopt:
/// nothing to restore.
std::optional<contract::Forkchoice> labels_to_restore(const LocalChain& local);

/// What to do while our head stays. `goal`: the source's goal, which is our head or an ancestor of it.
struct LabelChoice {
  /// nullopt: no label has to move.
  std::optional<contract::Forkchoice> wanted;
  /// Reported in this order: `before`, `status`, `after`.
  std::vector<Note> before;
  std::optional<Status> status;
  std::optional<Note> after;
};
LabelChoice choose_labels(const Views& v, const eth::BlockRef& goal, absl::Time now);

}  // namespace towline::coordinator
