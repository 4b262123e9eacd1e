// What the EL's labels tell about a write: whether an update was applied, and what became of a write whose answer was
// lost. A killed EL restarts at a lower block and without labels, and answers VALID to blocks that it no longer has
// executed. Nothing based on its earlier labels may be sent to it. Pure.
#pragma once
#include <optional>
#include <string>

#include "services/engine-driver/core/engine_answer.hpp"
#include "services/engine-driver/core/import_plan.hpp"

namespace towline::driver {

/// For display: which label of `update` the EL does not show; empty: it shows all of them.
std::string difference(const contract::Forkchoice& update, const contract::Labels& shown);

/// A write got no answer, and the EL shows its labels again. `before`: its last known labels. `update`: the write, if
/// it was an update. Returns nullopt if nothing changed, so that the write may be repeated; VALID if the update was
/// applied; otherwise came_back, since the EL is not the one that the write was meant for.
std::optional<EngineAnswer> after_loss(const contract::Labels& before, const contract::Forkchoice* update,
                                       const contract::Labels& shown);

}  // namespace towline::driver
