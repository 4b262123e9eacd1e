// Compares this machine's clock with what HTTP servers say of theirs (Date headers): at start, then each minute, sooner
// while it is wrong. Only with --clock-source or --l1-rpc.
//
// Owns: its clock. In: its own tick. Out: how far we are ahead, to the judge. A server that does not answer has no say.
// It blocks on its calls, so it is detached; who cancels the client ends them.
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
