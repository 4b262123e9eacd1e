// The part of a block's validation that depends on earlier blocks: accepted signers, blocks already seen, and whether
// the fault may be ours (core/signers).
//
// Owns: the signers, the doubt about our own settings, and the seen blocks. In: blocks checked for form and signature;
// the signer that L1 proves; the offset of our clock. Out: valid blocks to the store, results to the job's callback,
// metrics, and a view for readers. No timers; the actor waits for no other. A message whose result does not arrive
// expires in libs/p2p.
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
  absl::Time received;  // wall clock, when its last byte arrived
  /// Gets the check, and the consequence for the peer: a block refused by what may be our own fault is ignored, not
  /// rejected. Runs in the judge, so it must hand over and return.
  std::function<void(const gossip_block::Checked&, gossip_block::Result)> done;
};
using ValidationJobPtr = std::shared_ptr<const ValidationJob>;

struct CheckedJob {
  ValidationJobPtr job;
  gossip_block::Checked checked;
};
/// For a single receiver, which completes it.
using CheckedJobPtr = std::shared_ptr<CheckedJob>;
using AddressPtr = std::shared_ptr<const Address>;
/// See ClockAndSignerCheck::on_sources.
using ClockPtr = std::shared_ptr<const std::optional<absl::Duration>>;

struct JudgeView {
  Signers signers;
  /// Why no peer is punished at present; empty: peers are punished.
  std::string doubt;
};

using checked_atom = caf::atom_constant<caf::atom("checked")>;
using signer_atom = caf::atom_constant<caf::atom("signer")>;
using clock_atom = caf::atom_constant<caf::atom("clock")>;
using judge_actor = caf::typed_actor<caf::reacts_to<checked_atom, CheckedJobPtr>,
                                     caf::reacts_to<signer_atom, AddressPtr>, caf::reacts_to<clock_atom, ClockPtr>>;

/// The pointers must outlive the actor.
struct JudgeConfig {
  const rollup::Config* rollup;
  block_store_actor store;
  /// Holds the first signers; this actor is its only writer from then on.
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
  /// Publishes the signers and the doubt, if they have changed.
  void publish();
  Metrics::Counter counter(gossip_block::Failure rule) const;
  void measure(const CheckedJob& j, absl::Time now);

  judge_actor::pointer self_;
  JudgeConfig config_{};
  Signers signers_;
  std::optional<ClockAndSignerCheck> doubt_;
  std::array<gossip_block::SeenBlocks, 4> seen_;
  /// Kept here because each block counts.
  Metrics::Counter good_;
  Metrics::Histogram validation_, age_;
};

judge_actor::behavior_type judge(judge_actor::stateful_pointer<judge_state> self, JudgeConfig config);

}  // namespace towline::gossip

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::gossip::CheckedJobPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::gossip::AddressPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::gossip::ClockPtr)
