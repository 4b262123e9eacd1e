#include "services/sync-coordinator/core/remote_view.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace towline::coordinator {
namespace {

constexpr absl::Duration kDemoted = absl::Seconds(30);

}  // namespace

void RemoteView::on_heads(const contract::HeadSnapshot& s, const GossipBlocks& gossip, absl::Time now) {
  offered_ = s;
  choose_lead(gossip, now);
  if (replaying()) return;
  derived_.clear();
  if (s.safe && s.safe_hold != contract::Hold::quorum_lost) derived_.push_back(*s.safe);
  if (s.local_safe) derived_.push_back(*s.local_safe);
}

void RemoteView::on_lost(contract::SourceTrouble why) {
  offered_.reset();
  heads_.reset();
  lost_ = std::move(why);
}

void RemoteView::choose_lead(const GossipBlocks& gossip, absl::Time now) {
  std::erase_if(demoted_, [&](const auto& d) { return now >= d.second; });
  heads_ = offered_;
  const auto& others = offered_->others;
  // Where no branch has a majority, signed gossip decides which source leads, then the order of the list.
  std::vector<bool> rounds = {false};
  if (no_majority() && by_gossip_) rounds.insert(rounds.begin(), true);
  for (const bool gossiped : rounds) {
    const auto may = [&](const std::string& endpoint, const std::optional<eth::BlockRef>& head) {
      if (demoted_.contains(endpoint)) return false;
      return !gossiped || (head && (gossip.find(head->hash) != nullptr || gossip.find(head->parent_hash) != nullptr));
    };
    if (may(offered_->endpoint, offered_->unsafe)) return;
    const auto next =
        std::find_if(others.begin(), others.end(), [&](const auto& l) { return may(l.endpoint, l.unsafe); });
    if (next == others.end()) continue;
    heads_->endpoint = next->endpoint;
    heads_->kind = next->kind;
    heads_->unsafe = next->unsafe;
    heads_->local_safe.reset();
    heads_->current_l1.reset();
    return;
  }
}

std::optional<Note> RemoteView::demote(const std::string& why, const GossipBlocks& gossip, absl::Time now) {
  if (!heads_) return std::nullopt;
  const std::string endpoint = heads_->endpoint;
  demoted_[endpoint] = now + kDemoted;
  choose_lead(gossip, now);
  if (heads_->endpoint == endpoint || demoted_.contains(heads_->endpoint)) return std::nullopt;
  return Note{Action::demoted,
              absl::StrCat(endpoint, " leads no more for ", absl::ToInt64Seconds(kDemoted), " s, ", heads_->endpoint,
                           " does: ", why),
              absl::StrCat("demoted ", endpoint)};
}

std::optional<eth::BlockRef> RemoteView::goal() const {
  if (!heads_) return std::nullopt;
  if (unsafe_ && heads_->unsafe) return heads_->unsafe;
  if (heads_->local_safe && number_of(heads_->local_safe) > number_of(heads_->safe)) return heads_->local_safe;
  return heads_->safe ? heads_->safe : heads_->finalized;
}

bool RemoteView::contradicts(const eth::BlockId& finalized) const {
  const auto& theirs = heads_->finalized;
  return theirs && theirs->number == finalized.number && theirs->hash != finalized.hash;
}

bool RemoteView::replaying() const {
  return heads_ && contract::serves_sync_status(heads_->kind) && heads_->current_l1 &&
         heads_->current_l1->hash.is_zero();
}

bool RemoteView::derived_above(std::uint64_t number) const {
  return heads_ && (number_of(heads_->safe) > number || number_of(heads_->local_safe) > number);
}

}  // namespace towline::coordinator
