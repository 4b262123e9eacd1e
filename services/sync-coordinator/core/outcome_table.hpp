// How a command can end, and the one reaction to each ending. docs/outcome-reactions.md shows the same table. Pure.
#pragma once
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "libs/contract/command.hpp"
#include "services/sync-coordinator/core/decision_log.hpp"

namespace towline::coordinator {

/// The command: an import with payloads of the source or of the p2p network, a rewind, a label update, or a sync of the
/// EL's own.
enum class Origin { remote, gossip, rewind, forkchoice, el_sync };
inline constexpr Origin kOrigins[] = {Origin::remote, Origin::gossip, Origin::rewind, Origin::forkchoice,
                                      Origin::el_sync};

using Ending = std::variant<contract::Outcome, contract::Refusal>;
/// The refusal if there is one, else the outcome.
Ending ending_of(const contract::CommandResult& r);
std::string name(const Ending& e);

enum class Reaction {
  go_on,            // choose again at once
  retry,            // choose again after a back-off
  give_way,         // another coordinator commands the driver: send nothing
  search,           // look for the highest common block
  other_way,        // the source knows no way from our parent to its tip: search; after a search, try another source
  forget_blocks,    // p2p-gossip no longer has the lower blocks: the source fills them in
  from_new_head,    // continue from the new head; if nothing was imported, as `stuck`, or an own sync for an empty EL
  stuck,            // nothing was imported: wait, rewind, or ask for an operator; else as `retry`
  other_branch,     // let another source lead, but follow no other branch than the majority's
  drop_block,       // drop the block and its descendants
  contradicted,     // one source, or a majority: as `diverged`; else another source leads
  diverged,         // follow nothing until the source is repaired
  wait_for_engine,  // the EL is not available
  other_source,     // let another source lead, or wait for blocks
  wait_for_gossip,  // the source leads meanwhile
  upgrade,          // needs an operator: the EL does not support the chain's forks
  el_syncs,         // the EL is syncing by itself: wait for its reports
  rewind_by_hand,   // needs an operator
};
const char* name(Reaction r);

Reaction react(const Ending& e, Origin o);
/// The action to log; nullopt: none.
std::optional<Action> noted(const Ending& e, Origin o);
/// All endings, in the order of docs/outcome-reactions.md.
std::vector<Ending> endings();

}  // namespace towline::coordinator
