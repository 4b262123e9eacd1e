// Looks at the EL about every 500 ms: whether it answers, is on this chain, and where its labels are. The writer
// decides what a look means (core/engine_view.hpp), since it knows its own commands.
//
// Owns: nothing. In: its own tick, and the plan of a look from the writer. Out: looks to the writer, gauges. Timers:
// the tick. The actor blocks on the EL and on the disk, so it is detached. If the EL hangs, a look takes as long as
// EngineClient allows, and delays nothing else.
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

/// Spawn it detached. The pointers in the configuration must outlive the actor.
engine_poller_actor::behavior_type engine_poller(engine_poller_actor::pointer self, EnginePollerConfig config);

}  // namespace towline::driver
