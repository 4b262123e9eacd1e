// Looks at the EL twice a second: whether it is there, is this chain's, and where its labels are. What a look means is
// decided by the writer (core/engine_view.hpp), which knows of its own commands.
//
// Owns: nothing but its clock. In: its own tick, and the plan of a look from the writer. Out: looks to the writer,
// gauges. It blocks on the EL and on the disk, so it is detached. If the EL hangs a look takes as long as EngineClient
// allows, and nobody waits for it.
#pragma once
#include <caf/typed_actor.hpp>

#include "libs/rollup/config.hpp"
#include "libs/telemetry/metrics.hpp"
#include "services/engine-driver/actors/writer.hpp"
#include "services/engine-driver/io/engine_client.hpp"
#include "services/engine-driver/io/state_file.hpp"

namespace towline::driver {

using engine_poller_actor = caf::typed_actor<caf::reacts_to<tick_atom>>;

struct EnginePollerConfig {
  const rollup::Config* rollup;
  EngineClient* engine;
  const StateFile* file;
  writer_actor writer;
  Metrics* metrics;
};

/// Spawn it detached. What the configuration points to outlives it.
engine_poller_actor::behavior_type engine_poller(engine_poller_actor::pointer self, EnginePollerConfig config);

}  // namespace towline::driver
