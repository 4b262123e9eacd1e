// Reads the unsafe block signer from the SystemConfig contract on L1, proven against a block that two endpoints agree
// on (core/l1_signer): at start, then each 10 minutes, sooner after an error. Only with --l1-rpc.
//
// Owns: its clock and the evidence. In: its own tick. Out: the judge's signer, and what is known of it. Whatever L1
// does not prove leaves the signer as it is. It blocks on its calls, so it is detached; who cancels the client ends
// them.
#pragma once
#include <caf/typed_actor.hpp>

#include <memory>

#include "libs/http/client.hpp"
#include "services/p2p-gossip/actors/validator.hpp"

namespace towline::gossip {

using signer_poller_actor = caf::typed_actor<caf::reacts_to<tick_atom>>;

/// What L1 has said so far, for people.
struct SignerEvidence {
  /// Empty until there was one.
  std::string proof;
  /// Why the last look found none; empty: it found one.
  std::string failure;
};

struct SignerPollerConfig {
  std::vector<std::string> l1_urls;
  Address system_config;
  /// Cancelled by its owner when the service stops.
  std::shared_ptr<http::Client> client;
  Validator* validator;
  /// Only this actor sets it.
  Published<SignerEvidence>* evidence;
  Metrics* metrics;
};

signer_poller_actor::behavior_type signer_poller(signer_poller_actor::pointer self, const SignerPollerConfig& config);

}  // namespace towline::gossip
