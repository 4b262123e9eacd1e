// What to do next when nothing is pending: which source or branch to follow, up to which block, in which order. Pure.
#pragma once
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "libs/contract/command.hpp"
#include "services/sync-coordinator/core/decision_log.hpp"
#include "services/sync-coordinator/core/views.hpp"

namespace towline::coordinator {

/// Nothing to do, or an event has to come first.
struct Hold {
  std::optional<Status> status = {};
  /// Do not show the status at the tip.
  bool unless_at_tip = false;
};
/// The source contradicts our finalized chain.
struct Diverged {
  eth::BlockId ours;
  std::optional<eth::BlockId> theirs;
};
struct RestoreLabels {
  contract::Forkchoice forkchoice;
};
/// Import from our head to `goal`.
struct ImportRemote {
  eth::BlockRef goal;
};
/// Import from a block of ours to `tip`, with payloads from the p2p network.
struct ImportGossip {
  eth::BlockId parent;
  eth::BlockRef tip;
};
/// Compare the source's block with our chain. If it is not ours, a search for a common block follows.
struct CompareBlock {
  eth::BlockRef block;
};
/// Ask our EL for its blocks at these heights.
struct AskOurs {
  std::vector<std::uint64_t> numbers;
};
/// The head stays; safe and finalized may move.
struct MoveLabels {
  eth::BlockRef goal;
};
/// Let another source lead.
struct Demote {
  std::string why;
};
/// The goal ends in a block that the EL calls INVALID.
struct GoalIsInvalid {};

using Target = std::variant<Hold, Diverged, RestoreLabels, ImportRemote, ImportGossip, CompareBlock, AskOurs,
                            MoveLabels, Demote, GoalIsInvalid>;

struct Choice {
  Target target;
  /// Logged before the target is carried out.
  std::vector<Note> notes = {};
  /// Blocks of our chain that a branch switch abandons.
  std::optional<std::uint64_t> reorg_depth = {};
  /// A restarted EL has its labels, or is about to get them.
  bool labels_checked = false;
};

/// Requires that the EL has a head and may be commanded. `may_demote`: false after a failed attempt to find another
/// source.
Choice choose_target(const Views& v, absl::Time now, bool may_demote = true);

/// A search found `ancestor`, after which the source's chain leaves ours.
struct Behind {};  // our head is already on the source's chain
struct HoldBranch {
  std::string why;
  /// nullopt: try again soon.
  std::optional<absl::Time> until;
};
struct Switch {
  /// Blocks of our chain that are abandoned; nullopt: the branch continues from our head.
  std::optional<std::uint64_t> depth;
};
using BranchChoice = std::variant<Behind, HoldBranch, Switch>;
BranchChoice choose_branch(const Views& v, const eth::BlockRef& goal, const eth::BlockId& ancestor, absl::Time now);

}  // namespace towline::coordinator
