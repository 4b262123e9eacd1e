// The decisions for one engine-driver: what to import, what the labels become, and why. One machine, no I/O: events and
// the time in, effects out. It asks for one thing at a time: a command, or one round of the search for a common block.
//
// Rules it keeps (docs/architecture.md has the reasons): finalized never goes back, a label is applied by hash on our
// own chain only, the head moves only onto new blocks, an ancestor of ours is nothing to do, one command is in flight
// at most.
#pragma once
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <deque>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "libs/contract/command.hpp"
#include "libs/contract/heads.hpp"
#include "services/sync-coordinator/core/backoff.hpp"
#include "services/sync-coordinator/core/effects.hpp"
#include "services/sync-coordinator/core/gossip_blocks.hpp"
#include "services/sync-coordinator/core/report.hpp"
#include "services/sync-coordinator/core/walkback.hpp"

namespace towline::coordinator {

class Follower {
 public:
  struct Options {
    /// --unsafe-source: where the unsafe head comes from. With neither the tow goes to the source's safe head; with
    /// gossip alone the source is asked for what leads to gossiped blocks only.
    bool unsafe_from_remote = true;
    bool unsafe_from_gossip = false;
    std::size_t header_batch = 100;
    /// Final from the start.
    eth::BlockId genesis{};
    std::uint64_t seed = 1;
  };
  explicit Follower(Options options);

  std::optional<Effect> on_remote(const contract::HeadSnapshot& s, absl::Time now);
  std::optional<Effect> on_remote_lost(const contract::SourceTrouble& why, absl::Time now);
  /// A signed block of the p2p network, validated.
  std::optional<Effect> on_gossip(const eth::BlockRef& block, absl::Time now);
  std::optional<Effect> on_local(const contract::EngineState& s, absl::Time now);
  std::optional<Effect> on_local_lost(const std::string& why, absl::Time now);
  std::optional<Effect> on_compared(std::uint64_t id, const absl::StatusOr<std::vector<eth::BlockRef>>& remote,
                                    const absl::StatusOr<std::vector<eth::BlockRef>>& local, absl::Time now);
  /// An error is a refusal by the driver's gate, or the driver was lost.
  std::optional<Effect> on_command_done(std::uint64_t id, const absl::StatusOr<contract::CommandResult>& result,
                                        absl::Time now);
  std::optional<Effect> on_wake(absl::Time now);
  std::optional<Effect> pause(const std::string& reason, absl::Time now);
  std::optional<Effect> resume(absl::Time now);

  /// When on_wake() is due; InfiniteFuture if only an event helps.
  absl::Time next_wake() const;

  TowState state() const { return report_.status.state(); }
  const std::string& reason() const { return report_.status.reason(); }
  const Code& reason_code() const { return report_.status.code(); }
  absl::Time since() const { return report_.status.since(); }
  const std::optional<contract::EngineState>& local() const { return local_; }
  const std::optional<contract::HeadSnapshot>& remote() const { return remote_; }
  /// What the tow is on its way to, for people.
  std::optional<eth::BlockRef> target() const;
  /// nullopt: not known.
  std::optional<std::uint64_t> distance() const;
  std::uint64_t epoch() const { return epoch_; }
  const std::optional<eth::BlockId>& diverged_remote() const { return diverged_remote_; }
  const std::deque<Decision>& decisions() const { return report_.log.decisions(); }
  /// Grows with every decision, folded or not.
  std::uint64_t decided() const { return report_.log.decided(); }
  /// What an earlier process of this coordinator decided.
  void restore(std::deque<Decision> decisions) { report_.log.restore(std::move(decisions)); }
  bool busy() const { return pending_id_ != 0; }
  /// Rounds of the last search that ended, for the metric.
  int last_walkback_rounds() const { return last_walkback_rounds_; }
  /// Depth of the last switch of branches.
  std::uint64_t last_reorg_depth() const { return last_reorg_depth_; }

 private:
  enum class Pending { none, compare_near, compare_branch, walkback, import, forkchoice, rewind };

  std::optional<Effect> step(absl::Time now);
  /// Fewer than most of the trust groups have the branch that leads.
  bool no_majority() const { return remote_->agree * 2 <= remote_->groups; }
  /// Signed gossip named a block of our chain of late.
  bool gossip_names_ours(absl::Time now) const;
  /// Whom this tow follows on unsafe of those that may lead: the first that was not demoted.
  void choose_lead(absl::Time now);
  /// If the branch was switched on the word of unsafe heads the next such switch waits, longer each time they go on.
  void note_switch(absl::Time now);
  /// The source's branch above `number` holds what was derived from L1.
  bool derived_above(std::uint64_t number) const;
  /// What the leading source named came to nothing: another of its branch leads for a while. False: there is no other.
  bool demote(const std::string& why, absl::Time now);
  std::optional<Effect> follow(absl::Time now);
  /// What the p2p network has for our head; nullopt: nothing.
  std::optional<std::optional<Effect>> follow_gossip(absl::Time now);
  /// Whether the branch of a gossiped block that leads up from our chain holds what the source derived; nullopt: the
  /// source must be asked for `unknown` first.
  std::optional<bool> passes_derived(const eth::BlockRef& tip, eth::BlockRef& unknown) const;
  /// Where the branch of a gossiped block leaves our chain; nullopt: not known exactly.
  std::optional<eth::BlockRef> fork_below(const eth::BlockRef& tip) const;
  /// Heights at which our chain must be known to tell where the branch leaves it, and is not.
  std::vector<std::uint64_t> unknown_below(const GossipBlocks::Chain& branch) const;
  std::optional<Effect> follow_labels(absl::Time now);
  /// An EL that came back may show older labels than were confirmed: they are lifted before anything else. nullopt:
  /// they need not be.
  std::optional<std::optional<Effect>> restore_labels(absl::Time now);
  std::optional<Effect> start_walkback(const std::string& why, absl::Time now);
  std::optional<Effect> continue_walkback();
  std::optional<Effect> import(const eth::BlockId& parent, absl::Time now);
  std::optional<Effect> import(const eth::BlockId& parent, const eth::BlockRef& tip, bool from_gossip, absl::Time now);
  std::optional<Effect> after_import(const contract::CommandResult& r, absl::Time now);
  /// The EL does not take what stands on `parent`: it waits, rewinds, or asks for an operator.
  std::optional<Effect> cannot_go_on(const eth::BlockId& parent, const std::string& why, absl::Time now);
  /// Why the EL is not rewound to `parent` for the branch that the sources have from there on; empty: it may be. A
  /// rewind throws away what the EL has, on their word alone.
  std::string against_rewind(const eth::BlockId& parent) const;
  /// Shown while it is tried again and again, until the EL takes a block.
  bool needs_operator() const { return state() == TowState::needs_operator && stuck_at_; }
  /// No source serves the blocks that are needed.
  void wait_for_blocks(const std::string& why, absl::Time now);
  /// The branch that leads has another block than one that is final here.
  std::optional<Effect> contradicted(const eth::BlockId& ours, const std::optional<eth::BlockId>& theirs,
                                     absl::Time now);
  std::optional<Effect> diverged(const eth::BlockId& ours, const std::optional<eth::BlockId>& theirs, absl::Time now);

  /// What the source is followed to: its head, or the block before those that the p2p network has already brought.
  std::optional<eth::BlockRef> goal() const;
  std::optional<eth::BlockRef> remotes_head() const;
  /// That block, if gossiped blocks wait for it and the source has come so far.
  std::optional<eth::BlockRef> gap() const;
  /// Up to where the source would have to bring us so that this chain of gossiped blocks goes on from there.
  std::optional<eth::BlockRef> gap_below(const GossipBlocks::Chain& waiting) const;
  /// A source that restarts shows its old heads, or none: nothing is decided on its word.
  bool replaying() const;
  /// Ask the source whether it has our block at that height.
  std::optional<Effect> compare(const eth::BlockRef& block);
  /// Ask both sides for their blocks at these heights.
  std::optional<Effect> ask(Pending p, std::vector<std::uint64_t> numbers);
  /// Our block at that height, if it is known.
  std::optional<Hash32> ours_at(std::uint64_t number) const;
  /// nullopt: `block` is not known to be on our chain or off it.
  std::optional<bool> on_our_chain(const std::optional<eth::BlockRef>& block) const;
  void note_head();
  /// The highest block that may never change here.
  eth::BlockId fence() const;
  contract::CommandStamp command() const;
  /// The labels to ask for when the head will be `head`.
  contract::ImportRange with_labels(contract::ImportRange r, absl::Time now) const;
  /// The safe block of the vote. What fewer groups than must agree say counts on a chain that signed gossip names.
  std::optional<eth::BlockRef> voted_safe(absl::Time now) const;
  std::uint64_t start(Pending p);
  bool finish(std::uint64_t id);
  void back_off(Backoff& b, absl::Time now);

  const Options options_;
  std::mt19937_64 random_;
  Report report_;
  std::optional<contract::EngineState> local_;
  std::string local_lost_ = "the engine-driver was not reached yet";
  /// As remote-fetcher told it, and with the lead of this tow.
  std::optional<contract::HeadSnapshot> offered_, remote_;
  /// Sources that do not lead, until then.
  std::map<std::string, absl::Time> demoted_;
  contract::SourceTrouble remote_lost_{"no_heads", "the remote-fetcher was not reached yet"};
  std::uint64_t epoch_ = 0;
  bool superseded_ = false;
  /// The EL has begun another life: its labels go first.
  bool labels_first_ = false;
  std::optional<std::string> paused_;

  Pending pending_ = Pending::none;
  std::uint64_t pending_id_ = 0;
  std::uint64_t last_id_ = 0;
  std::optional<Walkback> walkback_;
  /// What the search began with; the head counts for a single comparison, too.
  Hash32 walkback_head_;
  eth::BlockRef comparing_;
  std::uint64_t walkback_high_ = 0;
  std::optional<contract::ImportRange> importing_;
  /// Its parent was found by a search.
  bool searched_ = false;
  Hash32 head_before_;
  std::optional<contract::Forkchoice> setting_;

  GossipBlocks gossip_;
  /// Our chain as far as it is known without asking, the last blocks of it.
  std::map<std::uint64_t, Hash32> recent_;
  /// Blocks of it that were asked for.
  std::map<std::uint64_t, Hash32> compared_;
  /// What the source derived from L1 (safe, local_safe), as it said last: a branch stays abandoned while it is away.
  std::vector<eth::BlockRef> derived_;
  /// Gossiped blocks that the source knows no way to, and until when it is not asked again.
  absl::flat_hash_map<Hash32, absl::Time> gaps_aside_;
  /// A gap could not be filled: the source's own head has its turn, or several such gaps would keep it out for ever.
  bool gaps_rest_ = false;
  /// Where the head came from last.
  bool head_from_gossip_ = false;
  /// The block of our chain that the p2p network named last, and when.
  eth::BlockRef gossip_named_;
  absl::Time gossip_named_ours_ = absl::InfinitePast();
  /// Branches are not changed before, on the word of unsafe heads alone.
  absl::Time hold_branch_until_ = absl::InfinitePast();
  bool switches_on_unsafe_ = false;  // what is imported
  absl::Duration hold_branch_for_ = absl::ZeroDuration();

  Backoffs retry_;
  /// A branch that the EL cannot take by itself: where it leaves ours, and since when.
  std::optional<eth::BlockId> stuck_at_;
  absl::Time stuck_since_;
  /// Since when the EL may be rewound there.
  std::optional<absl::Time> may_rewind_since_;
  /// A target that ends in a block which the EL calls INVALID.
  std::optional<eth::BlockId> invalid_block_;
  std::optional<Hash32> invalid_target_;
  std::optional<eth::BlockId> diverged_remote_;
  int last_walkback_rounds_ = 0;
  std::uint64_t last_reorg_depth_ = 0;
};

}  // namespace towline::coordinator
