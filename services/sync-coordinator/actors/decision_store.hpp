// Writes the decisions of the tows to disk, on a thread of its own: an fsync may take seconds.
//
// Owns: nothing. In: the decisions of a tow and their file. Out: nothing; a failure is logged. Told to end, it first
// writes what was sent to it before.
#pragma once
#include <caf/typed_actor.hpp>
#include <string>

#include "services/sync-coordinator/actors/status_hub.hpp"

namespace towline::coordinator {

using keep_atom = caf::atom_constant<caf::atom("keep")>;
using decision_store_actor = caf::typed_actor<caf::reacts_to<keep_atom, std::string, DecisionsPtr>>;
using decision_store_impl = decision_store_actor::extend<caf::reacts_to<stop_atom>>;

/// Spawn it detached.
decision_store_impl::behavior_type decision_store(decision_store_impl::pointer self);

}  // namespace towline::coordinator
