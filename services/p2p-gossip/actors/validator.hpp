// The checkers and their judge, as others see them: whoever has a block hands it to the next checker by turns, and
// readers look at what the judge has published.
#pragma once
#include <caf/actor_system.hpp>

#include <atomic>
#include <vector>

#include "libs/actor_kit/terminator.hpp"
#include "libs/p2p/gossipsub.hpp"
#include "services/p2p-gossip/actors/checker.hpp"

namespace towline::gossip {

/// Of gossipsub.
p2p::Gossipsub::Verdict validation_result(gossip_block::Result result);

/// Thread safe.
class Validator {
 public:
  /// `signer`: the first one; nullopt: set_signer() will say.
  Validator(caf::actor_system& system, const rollup::Config& config, gossip_block::Options options,
            block_store_actor store, Metrics& metrics, std::function<void(bool)> suspend_penalties,
            const std::optional<Address>& signer = std::nullopt);

  void submit(ValidationJob job);
  void set_signer(const Address& signer);
  /// See ClockAndSignerCheck::on_sources.
  void set_clock(std::optional<absl::Duration> ahead_of_sources);
  std::vector<Address> signers() const;
  /// Why peers are not punished at present; empty: they are.
  std::string doubt() const;
  void join(caf::actor_system& system);

 private:
  Published<JudgeView> view_;
  Terminator actors_;
  judge_actor judge_;
  std::vector<checker_actor> checkers_;
  std::atomic<std::size_t> next_{0};
};

}  // namespace towline::gossip
