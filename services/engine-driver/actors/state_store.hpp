// Writes the state that must survive a restart to disk, on a thread of its own: an fsync may take seconds.
//
// Owns: nothing. In: the state to save. Out: the result.
#pragma once
#include <caf/typed_actor.hpp>
#include <memory>

#include "services/engine-driver/io/state_file.hpp"

namespace towline::driver {

using PersistentPtr = std::shared_ptr<const Persistent>;
using StatusPtr = std::shared_ptr<const absl::Status>;
using save_atom = caf::atom_constant<caf::atom("save")>;
using state_store_actor = caf::typed_actor<caf::replies_to<save_atom, PersistentPtr>::with<StatusPtr>>;

/// Spawn it detached. `file` must outlive the actor.
state_store_actor::behavior_type state_store(state_store_actor::pointer self, const StateFile* file);

}  // namespace towline::driver

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::PersistentPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::StatusPtr)
