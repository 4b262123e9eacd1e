// How a command may end, and the one reaction to each: docs/outcome-reactions.md is this table for people. Pure.
#pragma once
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "libs/contract/command.hpp"
#include "services/sync-coordinator/core/decision_log.hpp"

namespace towline::coordinator {

/// What was commanded: an import by payloads of the source or of the p2p network, a rewind, other labels, a sync of the
/// EL's own.
enum class Origin { remote, gossip, rewind, forkchoice, el_sync };
inline constexpr Origin kOrigins[] = {Origin::remote, Origin::gossip, Origin::rewind, Origin::forkchoice,
                                      Origin::el_sync};

using Ending = std::variant<contract::Outcome, contract::Refusal>;
Ending ending_of(const contract::CommandResult& r);
std::string name(const Ending& e);

enum class Reaction {
  go_on,            // choose again at once
  retry,            // choose again, later each time
  give_way,         // another coordinator commands: keep out of its way
  search,           // look for the highest common block
  other_way,        // the source does not lead from here to there: search, or if that was done ask another source
  forget_blocks,    // p2p-gossip does not have them any more: the source brings the older ones
  from_new_head,    // what was imported is the head: on from there; if nothing was, as `stuck`
  stuck,            // nothing was imported: wait, rewind, or ask for an operator; else as `retry`
  other_branch,     // another source leads; of one that most have no other branch is taken
  drop_block,       // the block and what stands on it are forgotten
  contradicted,     // one source: `diverged`; of several, of which most do not say so, another one leads
  diverged,         // nothing is followed until the source heals
  wait_for_engine,  // the EL is away
  other_source,     // another one leads, or blocks are waited for
  wait_for_gossip,  // the source leads meanwhile
  upgrade,          // an operator must: the EL does not know the chain's forks
  el_syncs,         // the EL is on its way by itself: what it tells of that is waited for
  rewind_by_hand,   // an operator must
};
const char* name(Reaction r);

Reaction react(const Ending& e, Origin o);
/// What is told of it; nullopt: nothing.
std::optional<Action> noted(const Ending& e, Origin o);
/// Every ending there is, in the order of the page.
std::vector<Ending> endings();

}  // namespace towline::coordinator
