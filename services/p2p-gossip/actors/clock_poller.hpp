// Compares this machine's clock with those of HTTP servers (Date headers): at the start, then once a minute, more often
// while our settings are in doubt. Runs only with --clock-source or --l1-rpc.
// Owns: nothing. In: its own tick. Out: the offset of our clock, to the judge. Timers: the tick. A server that does not
// answer has no vote. The actor blocks on its calls, so it is detached; cancelling the client ends them.
#pragma once
#include <caf/typed_actor.hpp>

#include <string>
#include <vector>

#include "services/p2p-gossip/actors/signer_poller.hpp"

namespace towline::gossip {

using clock_poller_actor = caf::typed_actor<caf::reacts_to<tick_atom>>;

struct ClockPollerConfig {
  std::vector<std::string> urls;
  /// Cancelled by its owner when the service stops.
  std::shared_ptr<http::Client> client;
  Validator* validator;
  Metrics* metrics;
};

clock_poller_actor::behavior_type clock_poller(clock_poller_actor::pointer self, const ClockPollerConfig& config);

}  // namespace towline::gossip
