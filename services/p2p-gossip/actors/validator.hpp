// A handle to the checkers and the judge: jobs go to the checkers in turn, and readers see what the judge has
// published.
#pragma once
#include <caf/actor_system.hpp>

#include <atomic>
#include <vector>

#include "libs/actor_kit/terminator.hpp"
#include "libs/p2p/gossipsub.hpp"
#include "services/p2p-gossip/actors/checker.hpp"

namespace towline::gossip {

/// The equivalent for gossipsub.
p2p::Gossipsub::Verdict validation_result(gossip_block::Result result);

/// Thread-safe.
class Validator {
 public:
  /// `signer`: the first signer; nullopt: set_signer() follows.
  Validator(caf::actor_system& system, const rollup::Config& config, gossip_block::Options options,
            block_store_actor store, Metrics& metrics, std::function<void(bool)> suspend_penalties,
            const std::optional<Address>& signer = std::nullopt);

  void submit(ValidationJob job);
  void set_signer(const Address& signer);
  /// See ClockAndSignerCheck::on_sources.
  void set_clock(std::optional<absl::Duration> ahead_of_sources);
  /// The accepted signers, the current one first.
  std::vector<Address> signers() const;
  /// Why no peer is punished at present; empty: peers are punished.
  std::string doubt() const;
  /// Ends the actors, and waits for them. Nobody may submit() any more.
  void join(caf::actor_system& system);

 private:
  Published<JudgeView> view_;
  Terminator actors_;
  judge_actor judge_;
  std::vector<checker_actor> checkers_;
  std::atomic<std::size_t> next_{0};
};

}  // namespace towline::gossip
