// The part of a block's validation that depends on earlier blocks: whose blocks are good, which were seen, and whether
// what is refused may be our own mistake (core/signers).
//
// Owns: the signers, the doubt about our own settings, the blocks seen. In: blocks whose form and signature a checker
// has looked at; the signer that L1 proves; the clock of others. Out: good blocks to the store, the result to who
// brought the message in, metrics, and a view for readers. It waits for nobody and has no timers. A message whose
// result does not come expires where it waits (libs/p2p).
#pragma once
#include <array>
#include <caf/typed_actor.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "libs/actor_kit/published.hpp"
#include "libs/p2p/yamux.hpp"
#include "libs/rollup/config.hpp"
#include "libs/telemetry/metrics.hpp"
#include "services/p2p-gossip/actors/block_store.hpp"
#include "services/p2p-gossip/core/signers.hpp"

namespace towline::gossip {

struct ValidationJob {
  gossip_block::PayloadVersion version;
  p2p::SharedBytes body;  // null: the message does not decompress
  std::string peer;
  absl::Time received;  // wall clock, when its last byte came
  /// What it is, and what follows for who brought it: what may be our own mistake is ignored, not rejected. Runs in the
  /// judge: hand over and return.
  std::function<void(const gossip_block::Checked&, gossip_block::Result)> done;
};
using ValidationJobPtr = std::shared_ptr<const ValidationJob>;

struct CheckedJob {
  ValidationJobPtr job;
  gossip_block::Checked checked;
};
/// For one receiver, which completes it.
using CheckedJobPtr = std::shared_ptr<CheckedJob>;
using AddressPtr = std::shared_ptr<const Address>;
/// See ClockAndSignerCheck::on_sources.
using ClockPtr = std::shared_ptr<const std::optional<absl::Duration>>;

struct JudgeView {
  Signers signers;
  /// Why peers are not punished at present; empty: they are.
  std::string doubt;
};

using checked_atom = caf::atom_constant<caf::atom("checked")>;
using signer_atom = caf::atom_constant<caf::atom("signer")>;
using clock_atom = caf::atom_constant<caf::atom("clock")>;
using judge_actor = caf::typed_actor<caf::reacts_to<checked_atom, CheckedJobPtr>,
                                     caf::reacts_to<signer_atom, AddressPtr>, caf::reacts_to<clock_atom, ClockPtr>>;

/// What it points to outlives the actor.
struct JudgeConfig {
  const rollup::Config* rollup;
  block_store_actor store;
  /// With the first signers; only this actor sets it from then on.
  Published<JudgeView>* view;
  Metrics* metrics;
  std::function<void(bool)> suspend_penalties;
};

class judge_state {
 public:
  static inline const char* name = "judge";
  explicit judge_state(judge_actor::pointer self) : self_{self} {}
  judge_actor::behavior_type make_behavior(JudgeConfig config);

 private:
  void on_checked(CheckedJob& j);
  bool unknown_fork_at(absl::Time t) const;
  /// After anything that may have changed the signers or the doubt.
  void publish();
  void count(const gossip_block::Checked& c) const;
  void measure(const CheckedJob& j, absl::Time now) const;

  judge_actor::pointer self_;
  JudgeConfig config_{};
  Signers signers_;
  std::optional<ClockAndSignerCheck> doubt_;
  std::array<gossip_block::SeenBlocks, 4> seen_;
};

judge_actor::behavior_type judge(judge_actor::stateful_pointer<judge_state> self, JudgeConfig config);

}  // namespace towline::gossip

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::gossip::CheckedJobPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::gossip::AddressPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::gossip::ClockPtr)
