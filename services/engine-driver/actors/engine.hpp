// The EL as an actor: a thread of its own that makes one call at a time. There are two of these actors, so that the
// writer's calls do not delay the reads of others. engine_newPayload goes by payload_calls.
//
// Owns: nothing. In: an effect that concerns the EL, or block numbers. Out: the answer, always, within the time that
// EngineClient allows for a call. When the process stops, EngineClient ends the pending call.
#pragma once
#include <caf/typed_actor.hpp>
#include <memory>
#include <vector>

#include "services/engine-driver/core/effects.hpp"
#include "services/engine-driver/io/engine_client.hpp"

namespace towline::driver {

using EffectPtr = std::shared_ptr<const Effect>;
/// For a single receiver, which moves the event out.
using EventPtr = std::shared_ptr<Event>;
using NumbersPtr = std::shared_ptr<const std::vector<std::uint64_t>>;
using BlocksPtr = std::shared_ptr<const absl::StatusOr<std::vector<eth::BlockRef>>>;

using call_atom = caf::atom_constant<caf::atom("call")>;
using blocks_atom = caf::atom_constant<caf::atom("blocks")>;
using engine_actor = caf::typed_actor<caf::replies_to<call_atom, EffectPtr>::with<EventPtr>,
                                      caf::replies_to<blocks_atom, NumbersPtr>::with<BlocksPtr>>;

/// Spawn it detached, because it blocks. `client` must outlive the actor.
engine_actor::behavior_type engine(engine_actor::pointer self, EngineClient* client);

}  // namespace towline::driver

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::EffectPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::EventPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::NumbersPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::BlocksPtr)
