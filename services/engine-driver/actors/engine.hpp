// The EL, as actors ask it: a thread of its own that makes one call after the other. There are two, so that a slow
// newPayload holds no read of others up.
//
// Owns: nothing. In: the effect of a session that concerns the EL, or numbers of blocks. Out: the answer, always,
// within what EngineClient takes for a call. If the process is told to stop, EngineClient ends what is in flight.
#pragma once
#include <caf/typed_actor.hpp>
#include <memory>
#include <vector>

#include "services/engine-driver/core/effects.hpp"
#include "services/engine-driver/io/engine_client.hpp"

namespace towline::driver {

using EffectPtr = std::shared_ptr<const Effect>;
/// For one receiver, which takes it out.
using EventPtr = std::shared_ptr<Event>;
using NumbersPtr = std::shared_ptr<const std::vector<std::uint64_t>>;
using BlocksPtr = std::shared_ptr<const absl::StatusOr<std::vector<eth::BlockRef>>>;

using call_atom = caf::atom_constant<caf::atom("call")>;
using blocks_atom = caf::atom_constant<caf::atom("blocks")>;
using engine_actor = caf::typed_actor<caf::replies_to<call_atom, EffectPtr>::with<EventPtr>,
                                      caf::replies_to<blocks_atom, NumbersPtr>::with<BlocksPtr>>;

/// Spawn it detached: it blocks. `client` outlives it.
engine_actor::behavior_type engine(engine_actor::pointer self, EngineClient* client);

}  // namespace towline::driver

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::EffectPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::EventPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::NumbersPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::BlocksPtr)
