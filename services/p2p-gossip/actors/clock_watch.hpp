// Compares this machine's clock with what HTTP servers say of theirs (Date headers): at start, then each minute, sooner
// while it is wrong. In its own thread, since the calls block. Only with --clock-source or --l1-rpc.
//
// In: ticks from itself. Out: the validator's clock. A server that does not answer has no say.
#pragma once
#include <caf/typed_actor.hpp>

#include <string>
#include <vector>

#include "services/p2p-gossip/actors/signer_watch.hpp"

namespace towline::gossip {

using clock_watch_actor = caf::typed_actor<caf::reacts_to<look_atom>>;

struct ClockWatchConfig {
  std::vector<std::string> urls;
  /// Cancelled by its owner when the service stops.
  std::shared_ptr<http::Client> client;
  Validator* validator;
  Metrics* metrics;
};

clock_watch_actor::behavior_type clock_watch(clock_watch_actor::pointer self, const ClockWatchConfig& config);

}  // namespace towline::gossip
