// Checks blocks off the network's thread. `validator` actors do the stateless part, as many at once as there are; what
// depends on earlier blocks stands behind one lock. If a validator dies its messages get no result and expire.
//
// In: a message of the network. Out: the validation result, the block store, metrics.
#pragma once
#include <caf/actor_system.hpp>
#include <caf/typed_actor.hpp>

#include <array>
#include <functional>
#include <memory>
#include <mutex>

#include "libs/p2p/gossipsub.hpp"
#include "libs/rollup/config.hpp"
#include "libs/telemetry/metrics.hpp"
#include "services/p2p-gossip/actors/block_store.hpp"
#include "services/p2p-gossip/core/signers.hpp"

namespace towline::gossip {

struct ValidationJob {
  gossip_block::PayloadVersion version;
  p2p::SharedBytes body;  // null: the message does not decompress
  std::string peer;
  absl::Time received;  // wall clock
  /// What it is, and what follows for who brought it: what may be our own mistake is ignored, not rejected.
  std::function<void(const gossip_block::Checked&, gossip_block::Result)> done;
};
using ValidationJobPtr = std::shared_ptr<const ValidationJob>;

}  // namespace towline::gossip

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::gossip::ValidationJobPtr)

namespace towline::gossip {

using validate_atom = caf::atom_constant<caf::atom("validate")>;
using validator_actor = caf::typed_actor<caf::reacts_to<validate_atom, ValidationJobPtr>>;

/// Of gossipsub.
p2p::Gossipsub::Verdict validation_result(gossip_block::Result result);

class Validator {
 public:
  Validator(caf::actor_system& system, const rollup::Config& config, gossip_block::Options options,
            block_store_actor store, Metrics& metrics, std::function<void(bool)> suspend_penalties);

  /// Any thread; `job.done` is called on an actor's.
  void submit(ValidationJob job);
  void set_signer(const Address& signer);
  /// See ClockAndSignerCheck::on_sources.
  void set_clock(std::optional<absl::Duration> ahead_of_sources);
  std::vector<Address> signers() const;
  /// Why peers are not punished at present; empty: they are.
  std::string doubt() const;
  void join(caf::actor_system& system);

 private:
  void run(const ValidationJob& job);
  bool unknown_fork_at(absl::Time t) const;
  /// Under the lock, after anything that may have changed the doubt.
  void obey_doubt(const std::string& before);

  const rollup::Config& config_;
  const gossip_block::Options options_;
  const block_store_actor store_;
  Metrics& metrics_;
  const std::function<void(bool)> suspend_penalties_;
  mutable std::mutex mutex_;
  Signers signers_;
  ClockAndSignerCheck doubt_;
  std::array<gossip_block::SeenBlocks, 4> seen_;
  std::vector<validator_actor> actors_;
  std::size_t next_ = 0;
};

}  // namespace towline::gossip
