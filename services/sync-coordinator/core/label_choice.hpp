// Which safe and finalized to ask the EL for. They follow the vote, never go back, and are set on our own chain only.
// Pure.
#pragma once
#include <optional>
#include <vector>

#include "libs/contract/command.hpp"
#include "services/sync-coordinator/core/decision_log.hpp"
#include "services/sync-coordinator/core/views.hpp"

namespace towline::coordinator {

/// `r` with the labels to ask for when the head will be its tip.
contract::ImportRange with_labels(contract::ImportRange r, const Views& v, absl::Time now);

/// An EL that came back may show older labels than were confirmed: they are lifted before anything else. nullopt: they
/// need not be.
std::optional<contract::Forkchoice> labels_to_restore(const LocalChain& local);

/// What is done while our head stays where it is. `goal`: the source's, of which our head is the same or a descendant.
struct LabelChoice {
  /// nullopt: nothing is asked for.
  std::optional<contract::Forkchoice> wanted;
  /// Told in this order.
  std::vector<Note> before;
  std::optional<Status> status;
  std::optional<Note> after;
};
LabelChoice choose_labels(const Views& v, const eth::BlockRef& goal, absl::Time now);

}  // namespace towline::coordinator
