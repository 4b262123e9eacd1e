#include "services/sync-coordinator/core/target_choice.hpp"

#include <absl/strings/str_cat.h>

#include "services/sync-coordinator/core/label_choice.hpp"

namespace towline::coordinator {
namespace {

/// Gossiped blocks on our head, unless the source's safe chain has left their branch.
std::optional<Target> choose_next_blocks(const Views& v, const eth::BlockRef& tip, absl::Time now) {
  eth::BlockRef unknown;
  const auto passes = v.gossip.passes_derived(tip, v.local, v.remote, unknown);
  if (!passes && !v.retry.waits(now)) return CompareBlock{unknown};
  if (passes != true) return std::nullopt;
  return ImportGossip{v.local.head().id(), tip};
}

/// Another signed branch, from a block of ours upward.
std::optional<Target> choose_signed_branch(const Views& v, absl::Time now, Choice& c) {
  const eth::BlockRef& head = v.local.head();
  const auto& heads = v.remote.heads();
  // An abandoned branch may be higher than the growing one.
  for (const GossipBlocks::Chain& other : v.gossip.blocks().chains()) {
    if (other.tip.number < head.number + GossipView::kLonger) break;
    if (v.stuck.is_invalid(other.tip.hash)) continue;
    const auto fork = v.gossip.fork_below(other.tip, v.local);
    if (!fork) {
      if (auto unknown = v.gossip.unknown_below(other, v.local); !unknown.empty() && !v.retry.waits(now))
        return AskOurs{std::move(unknown)};
      continue;
    }
    if (fork->number < number_of(v.local.safe())) continue;
    if (eth::BlockRef unknown; v.gossip.passes_derived(other.tip, v.local, v.remote, unknown) != true) continue;
    const auto named = [&](const std::optional<eth::BlockRef>& b) {
      return b && b->number > fork->number && v.local.has(b) == true;
    };
    if (heads && (named(heads->unsafe) || named(heads->local_safe))) continue;
    if (v.hold.holds(now)) {
      c.notes.push_back(
          {Action::hold_branch, "another signed branch is longer, but branches were changed just now", {}});
      return std::nullopt;
    }
    c.reorg_depth = head.number - fork->number;
    c.notes.push_back(
        {Action::reorg,
         absl::StrCat("a signed branch leaves ours after ", eth::to_string(*fork), ", ", *c.reorg_depth,
                      " below our head, and is ", other.tip.number - head.number, " longer; nobody names either"),
         {}});
    return ImportGossip{fork->id(), other.tip};
  }
  return std::nullopt;
}

/// The gossiped blocks to import next; nullopt: none.
std::optional<Target> choose_gossip(const Views& v, absl::Time now, Choice& c) {
  if (!v.gossip.on() || v.retry.gossip.waits(now)) return std::nullopt;
  const auto tip = v.gossip.blocks().tip_above(v.local.head().id());
  if (tip && !v.stuck.is_invalid(tip->hash)) return choose_next_blocks(v, *tip, now);
  return choose_signed_branch(v, now, c);
}

/// The next step on the source's own chain.
Target choose_remote(const Views& v, const eth::BlockRef& goal, absl::Time now, bool may_demote) {
  const auto& heads = *v.remote.heads();
  const eth::BlockRef& head = v.local.head();
  // The leading source may have led us off the majority's chain.
  if (const auto& most = heads.agreed; most && most->number <= head.number && goal.number >= most->number) {
    const eth::BlockRef block{most->number, most->hash, {}, 0};
    const auto has = v.local.has(block);
    if (!has) return CompareBlock{block};
    if (!*has && (goal.hash == head.hash || v.local.has(goal) == true) && may_demote)
      return Demote{absl::StrCat("most trust groups have ", eth::to_string(*most), ", which is not on its chain")};
  }
  if (goal.hash == head.hash) return MoveLabels{goal};
  if (goal.number > head.number) {
    if (v.stuck.is_invalid(goal.hash)) return GoalIsInvalid{};
    return ImportRemote{goal};
  }
  const auto ours = v.local.has(goal);
  if (ours == true) return MoveLabels{goal};
  if (ours == false && v.hold.holds(now) && v.local.has(heads.safe) != false && v.local.has(heads.local_safe) != false)
    return Hold{};
  return CompareBlock{goal};
}

Target choose_by_source(const Views& v, absl::Time now, bool may_demote, Choice& c) {
  const auto goal = v.goal();
  if (!goal) {
    if (auto t = choose_gossip(v, now, c)) return *std::move(t);
    return Hold{
        Status{TowState::waiting_for_source, ReasonCode::no_target, "the source has no head yet that may be followed"}};
  }
  if (v.remote.replaying()) {
    if (auto t = choose_gossip(v, now, c)) return *std::move(t);
    const std::string why = "the source is starting or replaying (current_l1 is zero)";
    c.notes.push_back({Action::hold, why, {}});
    return Hold{Status{TowState::waiting_for_source, ReasonCode::source_replaying, why}, true};
  }
  const eth::BlockId finalized = v.local.confirmed_finalized();
  if (v.remote.contradicts(finalized)) return Diverged{finalized, v.remote.heads()->finalized->id()};
  c.labels_checked = true;
  if (v.local.restarted())
    if (const auto f = labels_to_restore(v.local)) return RestoreLabels{*f};
  if (auto t = choose_gossip(v, now, c)) return *std::move(t);
  return choose_remote(v, *goal, now, may_demote);
}

}  // namespace

Choice choose_target(const Views& v, absl::Time now, bool may_demote) {
  Choice c;
  const bool heard = v.remote.heads().has_value();
  if (heard && !v.retry.waits(now)) {
    c.target = choose_by_source(v, now, may_demote, c);
    return c;
  }
  if (!v.retry.engine.waits(now)) {
    if (auto t = choose_gossip(v, now, c)) {
      c.target = *std::move(t);
      return c;
    }
  }
  if (heard) return c;
  const contract::SourceTrouble& lost = v.remote.lost();
  const Code code = Code::of_source(lost.code);
  if (v.gossip.head_from_gossip()) {
    c.target = Hold{Status{TowState::at_tip, ReasonCode::gossip_only,
                           absl::StrCat("at the head of the p2p network; safe and finalized stand still: ", lost.why)}};
  } else {
    c.target = Hold{Status{code == ReasonCode::unknown_rules ? TowState::unknown_rules : TowState::waiting_for_source,
                           code, lost.why}};
  }
  return c;
}

BranchChoice choose_branch(const Views& v, const eth::BlockRef& goal, const eth::BlockId& ancestor, absl::Time now) {
  const eth::BlockRef& head = v.local.head();
  if (goal.number <= ancestor.number) return Behind{};
  // A safe block is not replaced by fewer votes than made it safe.
  if (ancestor.number < number_of(v.local.safe()) && v.remote.no_majority())
    return HoldBranch{"a branch that leaves ours below the safe block has no majority", {}};
  if (ancestor.hash == head.hash) return Switch{};
  // A branch without a majority does not replace the chain that signed gossip names.
  if (v.remote.no_majority() && v.gossip.names_ours(v.local, now) && v.gossip.named().number > ancestor.number)
    return HoldBranch{"a branch that has no majority leaves the one that the p2p network brings", {}};
  // Unsafe heads may contradict each other for a while; only a block derived from L1 may switch the branch at any time.
  if (!v.remote.derived_above(ancestor.number) && v.hold.holds(now)) {
    return HoldBranch{"the source's unsafe head is on another branch, but branches were changed just now",
                      v.hold.until()};
  }
  return Switch{head.number > ancestor.number ? head.number - ancestor.number : 0};
}

}  // namespace towline::coordinator
