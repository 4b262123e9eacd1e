// The decisions for one engine-driver: what to import, where the labels move, and why. One state machine without I/O:
// events and the time in, at most one effect out. It requests one thing at a time: a command, or one round of the
// search for a common block.
//
// An event updates the knowledge in core/views (local_chain, remote_view, gossip_view, branch_hold, stuck, backoff).
// When nothing is pending, core/target_choice decides what to do and core/label_choice which labels to set.
// core/outcome_table and core/follow_up decide what follows from the result; core/report holds the state and the
// decision log.
//
// Invariants: finalized never moves back. A label is set by hash, and only to a block of our own chain. The head moves
// only to new blocks: a source whose head is an ancestor of ours causes no command. At most one command is in flight.
#pragma once
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "services/sync-coordinator/core/authority.hpp"
#include "services/sync-coordinator/core/effects.hpp"
#include "services/sync-coordinator/core/search_run.hpp"
#include "services/sync-coordinator/core/target_choice.hpp"

namespace towline::coordinator {

class Follower {
 public:
  struct Options {
    /// --unsafe-source: where the unsafe head comes from. With neither, the tow follows the source's safe head. With
    /// gossip alone, the source fills only the gaps below gossiped blocks.
    bool unsafe_from_remote = true;
    bool unsafe_from_gossip = false;
    std::size_t header_batch = 100;
    /// Finalized from the start.
    eth::BlockId genesis{};
    std::uint64_t seed = 1;
    SyncStart::Options start = {};
  };
  explicit Follower(const Options& o);

  std::optional<Effect> on_remote(const contract::HeadSnapshot& s, absl::Time now);
  std::optional<Effect> on_remote_lost(const contract::SourceTrouble& why, absl::Time now);
  /// A block from the p2p network with a valid signature and valid content.
  std::optional<Effect> on_gossip(const eth::BlockRef& block, absl::Time now);
  std::optional<Effect> on_local(const contract::EngineState& s, absl::Time now);
  std::optional<Effect> on_local_lost(const std::string& why, absl::Time now);
  /// The answers to Compare `id`.
  std::optional<Effect> on_compared(std::uint64_t id, const Answer& remote, const Answer& local, absl::Time now);
  /// An error status: the command has no result, for example because the driver was lost. A refusal by its gate is a
  /// result.
  std::optional<Effect> on_command_done(std::uint64_t id, const absl::StatusOr<contract::CommandResult>& result,
                                        absl::Time now);
  std::optional<Effect> on_wake(absl::Time now);
  std::optional<Effect> pause(const std::string& reason, absl::Time now);
  std::optional<Effect> resume(absl::Time now);

  /// When on_wake() is due; InfiniteFuture if only an event can change anything.
  absl::Time next_wake() const;

  TowState state() const { return report_.status.state(); }
  const std::string& reason() const { return report_.status.reason(); }
  const Code& reason_code() const { return report_.status.code(); }
  absl::Time since() const { return report_.status.since(); }
  const std::optional<contract::EngineState>& local() const { return views_.local.state(); }
  const std::optional<contract::HeadSnapshot>& remote() const { return views_.remote.heads(); }
  /// The block that the tow is heading for, for display.
  std::optional<eth::BlockRef> target() const { return views_.target(); }
  /// Blocks to target(); nullopt if unknown.
  std::optional<std::uint64_t> distance() const { return views_.distance(); }
  std::uint64_t term() const { return authority_.term(); }
  const std::optional<eth::BlockId>& diverged_remote() const { return views_.stuck.diverged_remote(); }
  const std::deque<Decision>& decisions() const { return report_.log.decisions(); }
  /// Increases with every decision, folded or not.
  std::uint64_t decided() const { return report_.log.decided(); }
  /// Loads the decisions of an earlier process.
  void restore(std::deque<Decision> decisions) { report_.log.restore(std::move(decisions)); }
  /// How an EL that is far behind gets to the source's head.
  const SyncStart& start() const { return views_.start; }
  bool busy() const { return pending_id_ != 0; }
  /// Rounds of the last search that found a block, for the metric.
  int last_walkback_rounds() const { return search_.rounds(); }
  /// Depth of the last branch switch, in blocks.
  std::uint64_t last_reorg_depth() const { return last_reorg_depth_; }

 private:
  enum class Pending { none, compare, import, forkchoice, rewind, el_sync };

  std::uint64_t begin(Pending p);
  /// Returns false for an answer that is no longer pending.
  bool finish(std::uint64_t id);

  /// Decides what to do, if nothing is pending.
  std::optional<Effect> step(absl::Time now);
  /// Why no command may be sent; nullopt if commands may be sent.
  std::optional<Status> obstacle() const;
  /// The step when the EL does not follow the source block by block: a command, or none yet. Outer nullopt: the EL does
  /// follow block by block.
  std::optional<std::optional<Effect>> not_by_blocks(absl::Time now);
  std::optional<Effect> carry_out(Choice c, absl::Time now);
  std::optional<Effect> carry_out(const Next& n, absl::Time now);
  std::optional<Effect> act(const Hold& h, absl::Time now);
  std::optional<Effect> act(const Diverged& d, absl::Time now);
  std::optional<Effect> act(const RestoreLabels& r, absl::Time now);
  std::optional<Effect> act(const ImportRemote& i, absl::Time now);
  std::optional<Effect> act(const ImportGossip& i, absl::Time now);
  std::optional<Effect> act(const CompareBlock& c, absl::Time now);
  std::optional<Effect> act(const AskOurs& a, absl::Time now);
  std::optional<Effect> act(const MoveLabels& m, absl::Time now);
  std::optional<Effect> act(const Demote& d, absl::Time now);
  std::optional<Effect> act(const GoalIsInvalid&, absl::Time now);
  std::optional<Effect> act(const ChooseAgain&, absl::Time now);
  std::optional<Effect> act(const Wait&, absl::Time now);
  std::optional<Effect> act(const Ask& a, absl::Time now);
  std::optional<Effect> act(const Search& s, absl::Time now);
  std::optional<Effect> act(const ImportFound& i, absl::Time now);
  std::optional<Effect> act(const RewindTo& r, absl::Time now);

  std::optional<Effect> import(const contract::ImportRange& range, bool searched, absl::Time now);
  std::optional<Effect> set_labels(const contract::Forkchoice& f);
  contract::CommandStamp command() const;

  Views views_;
  Report report_;
  Authority authority_;
  AncestorSearch search_;
  std::optional<std::string> paused_;
  Pending pending_ = Pending::none;
  std::uint64_t pending_id_ = 0, last_id_ = 0;
  /// The current import, or the last one.
  std::optional<ImportRun> import_;
  std::uint64_t last_reorg_depth_ = 0;
};

}  // namespace towline::coordinator
