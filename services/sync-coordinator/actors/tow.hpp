// One tow: the actor around the follower's state machine.
//
// Owns: the machine, its readiness facts, and the decision file. In: the driver's state, remote heads and gossiped
// blocks from the links (actors/links.hpp), and the results of the machine's effects. Out: the effects, as non-blocking
// calls, one at a time; views and decisions to status_hub. Timers: the machine's next wake-up, and a tick that notices
// the absence of events. If a service dies, the pending call ends with an error, and the machine decides what follows.
#pragma once
#include <caf/typed_actor.hpp>

#include <memory>

#include "libs/actor_kit/file_store.hpp"
#include "libs/telemetry/metrics.hpp"
#include "services/sync-coordinator/actors/clients.hpp"
#include "services/sync-coordinator/actors/status_hub.hpp"

namespace towline::coordinator {

using SnapshotPtr = std::shared_ptr<const contract::HeadSnapshot>;
using TroublePtr = std::shared_ptr<const contract::SourceTrouble>;
using StatePtr = std::shared_ptr<const contract::EngineState>;
/// A block from the p2p network; nullopt is a keep-alive.
using BlockPtr = std::shared_ptr<const std::optional<eth::BlockRef>>;
using SourcesPtr = std::shared_ptr<const std::vector<Witness::OtherHead>>;
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

using tow_actor =
    caf::typed_actor<caf::reacts_to<remote_atom, SnapshotPtr>, caf::reacts_to<remote_atom, lost_atom, TroublePtr>,
                     caf::reacts_to<local_atom, StatePtr>, caf::reacts_to<local_atom, lost_atom, std::string>,
                     caf::reacts_to<pause_atom, std::string>, caf::reacts_to<resume_atom>,
                     caf::reacts_to<gossip_atom, BlockPtr>, caf::reacts_to<gossip_atom, lost_atom>,
                     caf::reacts_to<remote_atom, SourcesPtr>,
                     // The process is stopping: no further command is sent.
                     caf::reacts_to<stop_atom>>;
using tow_impl = tow_actor::extend<caf::reacts_to<done_atom, ComparedPtr>, caf::reacts_to<done_atom, CommandDonePtr>,
                                   caf::reacts_to<wake_atom, std::uint64_t>, caf::reacts_to<tick_atom>>;

struct TowConfig {
  std::size_t index = 0;
  std::string driver_name;
  Follower::Options options;
  Limits limits;
  bool asks_gossip = false;
  DriverClient* driver = nullptr;
  FetcherClient* fetcher = nullptr;
  status_hub_actor hub;
  Metrics* metrics = nullptr;
  KeptFilePtr decisions;  // null: decisions are not kept
};

class tow_state {
 public:
  static inline const char* name = "tow";
  explicit tow_state(tow_impl::pointer self) : self_{self} {}
  tow_impl::behavior_type make_behavior(TowConfig config);

 private:
  Metrics::Counter decisions_total(Action action);
  void save();
  void apply(std::optional<Effect> effect);
  void carry_out(const Compare& c);
  void carry_out(const Import& e);
  void carry_out(const SetForkchoice& e);
  void carry_out(const Rewind& e);
  void carry_out(const StartElSync& e);
  /// The callback for the result of command `id`.
  Done<contract::CommandResult> answer_to(std::uint64_t id);
  void publish();
  /// Sets the other gauges, once a second: each is looked up by its labels, and events come many times for each block.
  void measure();

  tow_impl::pointer self_;
  std::optional<TowConfig> config_;
  std::optional<Follower> machine_;
  std::optional<Witness> witness_;
  absl::Time since_ = absl::InfinitePast();
  std::uint64_t alarm_ = 0;
  TowState shown_ = TowState::starting;
  Metrics::Gauge ready_;
  std::uint64_t last_decision_ = 0;
  std::uint64_t decided_ = 0;
  /// Some decisions were not sent to the store yet.
  bool unsaved_ = false;
  absl::Time saved_ = absl::InfinitePast();
  bool stopped_ = false;
};

/// The clients and the metrics must outlive the actor.
tow_impl::behavior_type tow(tow_impl::stateful_pointer<tow_state> self, TowConfig config);

}  // namespace towline::coordinator
