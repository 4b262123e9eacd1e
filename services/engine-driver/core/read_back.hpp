// What the labels that an EL shows say of a write: whether an update was applied, and what becomes of a write that was
// lost. An EL that was killed comes back lower and without labels, and it says VALID to blocks that it has not executed
// any more: nothing may be sent to it that stands on what it showed before. Pure.
#pragma once
#include <optional>
#include <string>

#include "services/engine-driver/core/engine_answer.hpp"
#include "services/engine-driver/core/import_plan.hpp"

namespace towline::driver {

/// For a person: which label of `update` the EL does not show; empty: it shows them all.
std::string difference(const contract::Forkchoice& update, const contract::Labels& shown);

/// A write had no answer, and the EL shows its labels again. `before`: what it showed last. `update`: the write, if it
/// was an update. nullopt: nothing has changed, the same write may be sent again. VALID: the update was applied.
/// Otherwise it is another EL than the one that was written to.
std::optional<EngineAnswer> after_loss(const contract::Labels& before, const contract::Forkchoice* update,
                                       const contract::Labels& shown);

}  // namespace towline::driver
