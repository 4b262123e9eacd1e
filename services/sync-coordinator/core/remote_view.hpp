// What the sources say: their vote as remote-fetcher reports it, the source that leads for this tow, and the blocks
// derived from L1. Pure.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "libs/contract/heads.hpp"
#include "services/sync-coordinator/core/decision_log.hpp"
#include "services/sync-coordinator/core/gossip_blocks.hpp"

namespace towline::coordinator {

class RemoteView {
 public:
  /// `unsafe`: follow the unsafe head. `by_gossip`: where no branch has a majority, signed gossip decides which source
  /// leads.
  RemoteView(bool unsafe, bool by_gossip) : unsafe_{unsafe}, by_gossip_{by_gossip} {}

  void on_heads(const contract::HeadSnapshot& s, const GossipBlocks& gossip, absl::Time now);
  void on_lost(contract::SourceTrouble why);
  /// The head of the leading source came to nothing: another source of its branch leads for 30 s. nullopt: there is no
  /// other source.
  std::optional<Note> demote(const std::string& why, const GossipBlocks& gossip, absl::Time now);

  /// The snapshot, with this tow's choice of the leading source. nullopt: no source is heard; lost() says why.
  const std::optional<contract::HeadSnapshot>& heads() const { return heads_; }
  const contract::SourceTrouble& lost() const { return lost_; }
  /// The block up to which the source is followed, gaps below gossiped blocks aside.
  std::optional<eth::BlockRef> goal() const;
  /// More than one source of the leading branch can lead.
  bool several_lead() const { return offered_ && !offered_->others.empty(); }
  /// The leading branch has no more than half of the trust groups.
  bool no_majority() const { return heads_->agree * 2 <= heads_->groups; }
  /// The source's finalized block has the height of `finalized` and is another block.
  bool contradicts(const eth::BlockId& finalized) const;
  /// A CL that restarts shows old heads or none: nothing is decided on them.
  bool replaying() const;
  /// Whether the source's branch above `number` contains a block derived from L1.
  bool derived_above(std::uint64_t number) const;
  /// The blocks derived from L1 (safe, local_safe) in the last snapshot. They are kept while the source is away, so
  /// that an abandoned branch stays abandoned.
  const std::vector<eth::BlockRef>& derived() const { return derived_; }

 private:
  /// Picks the leading source for unsafe: the first candidate that is not demoted.
  void choose_lead(const GossipBlocks& gossip, absl::Time now);

  const bool unsafe_, by_gossip_;
  /// The snapshot from remote-fetcher, and the same with this tow's leading source.
  std::optional<contract::HeadSnapshot> offered_, heads_;
  /// Demoted sources, and until when.
  std::map<std::string, absl::Time> demoted_;
  contract::SourceTrouble lost_{"no_heads", "the remote-fetcher was not reached yet"};
  std::vector<eth::BlockRef> derived_;
};

}  // namespace towline::coordinator
