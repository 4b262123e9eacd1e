// One tow: the follower's machine, and the actors around it.
//
// `tow` owns the machine; it handles events, carries effects out and keeps the board up to date. `worker` (in its own
// thread) makes the blocking calls, one at a time, and sends back what came of them. Watchers (own threads) stream
// the driver's state, the remote heads and gossiped blocks; a lost stream is opened again with a short pause. If the
// worker's peer dies the call ends with an error, never hangs.
#pragma once
#include <caf/typed_actor.hpp>

#include <memory>

#include "libs/telemetry/metrics.hpp"
#include "services/sync-coordinator/actors/board.hpp"
#include "services/sync-coordinator/actors/clients.hpp"

namespace towline::coordinator {

using SnapshotPtr = std::shared_ptr<const contract::HeadSnapshot>;
using TroublePtr = std::shared_ptr<const contract::SourceTrouble>;
using StatePtr = std::shared_ptr<const contract::EngineState>;
/// Of the p2p network; nullopt: it is there and brings nothing at the moment.
using BlockPtr = std::shared_ptr<const std::optional<eth::BlockRef>>;
using SourcesPtr = std::shared_ptr<const std::vector<Witness::OtherHead>>;
using EffectPtr = std::shared_ptr<const Effect>;
struct Compared {
  std::uint64_t id;
  absl::StatusOr<std::vector<eth::BlockRef>> remote;
  absl::StatusOr<std::vector<eth::BlockRef>> local;
};
using ComparedPtr = std::shared_ptr<const Compared>;
struct CommandDone {
  std::uint64_t id;
  absl::StatusOr<contract::CommandResult> result;
};
using CommandDonePtr = std::shared_ptr<const CommandDone>;

}  // namespace towline::coordinator

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::coordinator::SnapshotPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::coordinator::TroublePtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::coordinator::StatePtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::coordinator::BlockPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::coordinator::SourcesPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::coordinator::EffectPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::coordinator::ComparedPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::coordinator::CommandDonePtr)

namespace towline::coordinator {

using remote_atom = caf::atom_constant<caf::atom("remote")>;
using gossip_atom = caf::atom_constant<caf::atom("gossip")>;
using local_atom = caf::atom_constant<caf::atom("local")>;
using lost_atom = caf::atom_constant<caf::atom("lost")>;
using done_atom = caf::atom_constant<caf::atom("done")>;
using wake_atom = caf::atom_constant<caf::atom("wake")>;
using pause_atom = caf::atom_constant<caf::atom("pause")>;
using resume_atom = caf::atom_constant<caf::atom("resume")>;
using run_atom = caf::atom_constant<caf::atom("run")>;
using tick_atom = caf::atom_constant<caf::atom("tick")>;
using watch_atom = caf::atom_constant<caf::atom("watch")>;

using tow_actor =
    caf::typed_actor<caf::reacts_to<remote_atom, SnapshotPtr>, caf::reacts_to<remote_atom, lost_atom, TroublePtr>,
                     caf::reacts_to<local_atom, StatePtr>, caf::reacts_to<local_atom, lost_atom, std::string>,
                     caf::reacts_to<done_atom, ComparedPtr>, caf::reacts_to<done_atom, CommandDonePtr>,
                     caf::reacts_to<wake_atom, std::uint64_t>, caf::reacts_to<pause_atom, std::string>,
                     caf::reacts_to<resume_atom>, caf::reacts_to<gossip_atom, BlockPtr>,
                     caf::reacts_to<gossip_atom, lost_atom>, caf::reacts_to<remote_atom, SourcesPtr>,
                     caf::reacts_to<tick_atom>>;
using worker_actor = caf::typed_actor<caf::reacts_to<run_atom, EffectPtr>>;
using watcher_actor = caf::typed_actor<caf::reacts_to<watch_atom>>;

struct TowConfig {
  std::size_t index;
  std::string driver_name;
  Follower::Options options;
  Limits limits;
  DriverClient* driver;
  FetcherClient* fetcher;
  GossipClient* gossip;  // null: not asked
  Board* board;
  Metrics* metrics;
  std::string decisions_file;  // empty: they are not kept
};

/// Everything of one tow; stop() ends its threads.
class Tow {
 public:
  Tow(caf::actor_system& system, TowConfig config);
  const std::string& driver_name() const { return config_.driver_name; }
  void pause(const std::string& reason);
  void resume();
  /// After the clients were stopped.
  void join(caf::actor_system& system);

 private:
  const TowConfig config_;
  tow_actor tow_;
  watcher_actor driver_watcher_;
  watcher_actor head_watcher_;
  std::optional<watcher_actor> gossip_watcher_;
};

}  // namespace towline::coordinator
