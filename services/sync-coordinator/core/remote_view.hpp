// What the sources say: their vote as remote-fetcher tells it, whom this tow follows on the unsafe head, and what they
// have derived from L1. Pure.
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
  /// `unsafe`: the unsafe head is followed. `by_gossip`: where no branch has most of the votes signed gossip decides
  /// who leads.
  RemoteView(bool unsafe, bool by_gossip) : unsafe_{unsafe}, by_gossip_{by_gossip} {}

  void on_heads(const contract::HeadSnapshot& s, const GossipBlocks& gossip, absl::Time now);
  void on_lost(contract::SourceTrouble why);
  /// What the leading source named came to nothing: another of its branch leads for a while. nullopt: there is no
  /// other.
  std::optional<Note> demote(const std::string& why, const GossipBlocks& gossip, absl::Time now);

  /// With the lead of this tow. nullopt: no source is heard; lost() says why.
  const std::optional<contract::HeadSnapshot>& heads() const { return heads_; }
  const contract::SourceTrouble& lost() const { return lost_; }
  /// The block that the source is followed to where no gossip waits for others.
  std::optional<eth::BlockRef> goal() const;
  /// Several sources of the branch that leads may lead.
  bool several_lead() const { return offered_ && !offered_->others.empty(); }
  /// Fewer than most of the trust groups have the branch that leads.
  bool no_majority() const { return heads_->agree * 2 <= heads_->groups; }
  /// A source that restarts shows its old heads, or none: nothing is decided on its word.
  bool replaying() const;
  /// Its branch above `number` holds what was derived from L1.
  bool derived_above(std::uint64_t number) const;
  /// What was derived from L1 (safe, local_safe), as it was said last: a branch stays abandoned while the source is
  /// away.
  const std::vector<eth::BlockRef>& derived() const { return derived_; }

 private:
  /// Whom this tow follows on unsafe of those that may lead: the first that was not demoted.
  void choose_lead(const GossipBlocks& gossip, absl::Time now);

  const bool unsafe_, by_gossip_;
  /// As remote-fetcher told it, and with the lead of this tow.
  std::optional<contract::HeadSnapshot> offered_, heads_;
  /// Sources that do not lead, until then.
  std::map<std::string, absl::Time> demoted_;
  contract::SourceTrouble lost_{"no_heads", "the remote-fetcher was not reached yet"};
  std::vector<eth::BlockRef> derived_;
};

}  // namespace towline::coordinator
