// Reads the unsafe block signer from the SystemConfig contract on L1, proven against a block that two endpoints agree
// on (core/l1_signer): at start, then each 10 minutes, sooner after an error. In its own thread, since the calls block.
// Only with --l1-rpc.
//
// In: ticks from itself. Out: the validator's signer, and what is known of it. Whatever L1 does not prove leaves the
// signer as it is.
#pragma once
#include <caf/typed_actor.hpp>

#include <memory>

#include "libs/http/client.hpp"
#include "services/p2p-gossip/actors/validator.hpp"

namespace towline::gossip {

using look_atom = caf::atom_constant<caf::atom("look")>;
using signer_watch_actor = caf::typed_actor<caf::reacts_to<look_atom>>;

/// What L1 has said so far, for people. Thread safe.
class SignerEvidence {
 public:
  /// `proof`: empty until there was one. `failure`: why the last look found none; empty: it found one.
  struct Texts {
    std::string proof, failure;
  };
  Texts get() const {
    std::lock_guard lock{mutex_};
    return texts_;
  }
  void proven(std::string how) {
    std::lock_guard lock{mutex_};
    texts_ = {std::move(how), {}};
  }
  /// True: it is another failure than at the last look.
  bool failed(std::string why) {
    std::lock_guard lock{mutex_};
    if (texts_.failure == why) return false;
    texts_.failure = std::move(why);
    return true;
  }

 private:
  mutable std::mutex mutex_;
  Texts texts_;
};

struct SignerWatchConfig {
  std::vector<std::string> l1_urls;
  Address system_config;
  /// Cancelled by its owner when the service stops.
  std::shared_ptr<http::Client> client;
  Validator* validator;
  SignerEvidence* evidence;
  Metrics* metrics;
};

signer_watch_actor::behavior_type signer_watch(signer_watch_actor::pointer self, const SignerWatchConfig& config);

}  // namespace towline::gossip
