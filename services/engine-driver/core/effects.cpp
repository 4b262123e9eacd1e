#include "services/engine-driver/core/effects.hpp"

namespace towline::driver {

void apply(const StateChange& change, contract::EngineState& state) {
  if (change.status) {
    state.status = change.status->status;
    state.reason = change.status->reason;
  }
  if (change.labels) state.labels = *change.labels;
  if (change.kept) show(*change.kept, state);
  if (change.new_session) ++state.engine_session;
  if (change.progress) state.import = change.progress;
  if (change.import_ended) state.import.reset();
  if (change.el_sync_over) state.el_sync.reset();
  if (change.el_sync_to) {
    if (!state.el_sync) state.el_sync.emplace();
    state.el_sync->target = change.el_sync_to;
  }
}

}  // namespace towline::driver
