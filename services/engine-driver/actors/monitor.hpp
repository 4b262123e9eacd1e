// Watches the EL: is it there, is it the right chain, where is its head. An actor in its own thread that looks once a
// second.
//
// Owns: the engine session. In: ticks from itself. Out: the state board. If the EL dies: status unreachable, and a new
// session when it is back.
#pragma once
#include <caf/typed_actor.hpp>

#include "libs/rollup/config.hpp"
#include "services/engine-driver/actors/engine_client.hpp"
#include "services/engine-driver/actors/state_board.hpp"
#include "services/engine-driver/actors/state_file.hpp"
#include "services/engine-driver/core/foreign_head.hpp"

namespace towline::driver {

using look_atom = caf::atom_constant<caf::atom("look")>;
using monitor_actor = caf::typed_actor<caf::reacts_to<look_atom>>;

struct MonitorConfig {
  const rollup::Config* rollup;
  EngineClient* engine;
  StateBoard* board;
  const StateFile* file;
  Metrics* metrics;
};

class MonitorState {
 public:
  static inline const char* name = "monitor";
  explicit MonitorState(monitor_actor::pointer self) : self_{self} {}
  monitor_actor::behavior_type make_behavior(MonitorConfig config);

 private:
  void look();
  /// OK once chain id and genesis were compared.
  absl::Status identify();
  void check_capabilities(const std::vector<std::string>& has);
  monitor_actor::pointer self_;
  MonitorConfig config_{};
  /// OK: the confirmed finalized block is on the EL's chain, or above it.
  absl::Status check_confirmed_finalized();
  ForeignHead foreign_;
  bool identified_ = false;
  bool lost_ = false;
};

monitor_actor::behavior_type monitor(monitor_actor::stateful_pointer<MonitorState> self, MonitorConfig config);

}  // namespace towline::driver
