// What to do next while nothing is under way: whom to follow where, in which order. Pure.
#pragma once
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "libs/contract/command.hpp"
#include "services/sync-coordinator/core/decision_log.hpp"
#include "services/sync-coordinator/core/views.hpp"

namespace towline::coordinator {

/// What is known is as it should be, or an event is waited for.
struct Hold {
  std::optional<Status> status = {};
  /// The status is not told at the tip.
  bool unless_at_tip = false;
};
/// The source contradicts what is final here.
struct Diverged {
  eth::BlockId ours;
  std::optional<eth::BlockId> theirs;
};
struct RestoreLabels {
  contract::Forkchoice forkchoice;
};
/// From our head to `goal`.
struct ImportRemote {
  eth::BlockRef goal;
};
/// From a block of ours to `tip`, by payloads of the p2p network.
struct ImportGossip {
  eth::BlockId parent;
  eth::BlockRef tip;
};
/// Is the source's block on our chain? If not a common one is searched.
struct CompareBlock {
  eth::BlockRef block;
};
/// Which blocks has our chain there?
struct AskOurs {
  std::vector<std::uint64_t> numbers;
};
/// Our head stays; safe and finalized may move.
struct MoveLabels {
  eth::BlockRef goal;
};
/// Another source is to lead.
struct Demote {
  std::string why;
};
/// The goal ends in a block that the EL calls INVALID.
struct GoalIsInvalid {};

using Target = std::variant<Hold, Diverged, RestoreLabels, ImportRemote, ImportGossip, CompareBlock, AskOurs,
                            MoveLabels, Demote, GoalIsInvalid>;

struct Choice {
  Target target;
  /// Told before.
  std::vector<Note> notes = {};
  /// Depth of a switch of branches.
  std::optional<std::uint64_t> reorg_depth = {};
  /// An EL that came back has its labels, or is given them.
  bool labels_checked = false;
};

/// The EL has a head and may be commanded. `may_demote`: false if it was tried and there is no other source.
Choice choose_target(const Views& v, absl::Time now, bool may_demote = true);

/// The source's chain leaves ours after `ancestor`, which a search found.
struct Behind {};  // our head is on it already
struct HoldBranch {
  std::string why;
  /// nullopt: it is tried again soon.
  std::optional<absl::Time> until;
};
struct Switch {
  /// Of our chain, which the source's leaves; nullopt: it goes on from our head.
  std::optional<std::uint64_t> depth;
};
using BranchChoice = std::variant<Behind, HoldBranch, Switch>;
BranchChoice choose_branch(const Views& v, const eth::BlockRef& goal, const eth::BlockId& ancestor, absl::Time now);

}  // namespace towline::coordinator
