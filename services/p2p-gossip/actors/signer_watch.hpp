// Reads the unsafe block signer from the SystemConfig contract on L1: at start, then each 10 minutes, soon again after
// an error. In its own thread, since the calls block. Only with --l1-rpc.
//
// In: ticks from itself. Out: the validator's signer. If L1 is lost the last signer stays.
#pragma once
#include <caf/typed_actor.hpp>

#include "services/p2p-gossip/actors/validator.hpp"

namespace towline::gossip {

using look_atom = caf::atom_constant<caf::atom("look")>;
using signer_watch_actor = caf::typed_actor<caf::reacts_to<look_atom>>;

struct SignerWatchConfig {
  std::string l1_url;
  Address system_config;
  Validator* validator;
  Metrics* metrics;
};

signer_watch_actor::behavior_type signer_watch(signer_watch_actor::pointer self, const SignerWatchConfig& config);

}  // namespace towline::gossip
