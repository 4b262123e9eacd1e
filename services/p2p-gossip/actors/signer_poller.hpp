// Reads the unsafe block signer from the SystemConfig contract on L1, proven against a block that two endpoints agree
// on (core/l1_signer): at the start, then every 10 minutes, more often after an error. Runs only with --l1-rpc.
//
// Owns: the published evidence. In: its own tick. Out: the signer to the judge, and the evidence. Timers: the tick. If
// L1 proves nothing, the signer stays. The actor blocks on its calls, so it is detached; cancelling the client ends
// them.
#pragma once
#include <caf/typed_actor.hpp>

#include <memory>

#include "libs/http/client.hpp"
#include "services/p2p-gossip/actors/validator.hpp"

namespace towline::gossip {

using signer_poller_actor = caf::typed_actor<caf::reacts_to<tick_atom>>;

/// What L1 has proven so far, for display.
struct SignerEvidence {
  /// Empty until the first proof.
  std::string proof;
  /// Why the last poll proved nothing; empty: it did.
  std::string failure;
};

struct SignerPollerConfig {
  std::vector<std::string> l1_urls;
  Address system_config;
  /// Cancelled by its owner when the service stops.
  std::shared_ptr<http::Client> client;
  Validator* validator;
  /// This actor is its only writer.
  Published<SignerEvidence>* evidence;
  Metrics* metrics;
};

signer_poller_actor::behavior_type signer_poller(signer_poller_actor::pointer self, const SignerPollerConfig& config);

}  // namespace towline::gossip
