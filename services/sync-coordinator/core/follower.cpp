#include "services/sync-coordinator/core/follower.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "services/sync-coordinator/core/readiness.hpp"

namespace towline::coordinator {
namespace {

/// An EL that misses the state of a branch may still get it by itself for so long.
constexpr absl::Duration kOperatorAfter = absl::Seconds(30);
/// Most sources have had the branch for so long before the EL is rewound for it.
constexpr absl::Duration kRewindAfter = absl::Minutes(1);
/// A few blocks at the tip are no catch-up.
constexpr std::uint64_t kTipBlocks = 8;
constexpr std::size_t kRecentBlocks = 1024;
constexpr std::size_t kComparedBlocks = 64;
/// A signed branch that is so much longer than ours is taken where nobody else has a word for either.
constexpr std::uint64_t kLonger = 2;
/// Between two switches of branches on the word of unsafe heads; doubled while they go on.
constexpr absl::Duration kFirstHold = absl::Seconds(10), kLongestHold = absl::Minutes(2);
/// The p2p network's word for our chain counts for so long.
constexpr absl::Duration kGossipFresh = absl::Seconds(30);
constexpr absl::Duration kDemoted = absl::Seconds(30);
constexpr absl::Duration kGapAside = absl::Seconds(30);

std::string short_of(const absl::Status& s) { return std::string{s.message()}; }

/// The elector of a coordinator without etcd.
constexpr const char* kSingle = "single";
/// engine-driver takes no epoch so far above the one it knows.
constexpr std::uint64_t kEpochLeap = 1'000;
/// Another coordinator that is alive watches, and sends commands with every block.
constexpr absl::Duration kOtherIsGone = absl::Seconds(30);

}  // namespace

Follower::Follower(Options options) : options_{options}, random_{options.seed} {}

// ---------------------------------------------------------------- what is known

std::optional<eth::BlockRef> Follower::goal() const {
  if (!remote_) return std::nullopt;
  const auto head = remotes_head();
  if (!head || !gaps_rest_)
    if (const auto g = gap()) return g;
  return head;
}

std::optional<eth::BlockRef> Follower::remotes_head() const {
  if (options_.unsafe_from_remote && remote_->unsafe) return remote_->unsafe;
  if (remote_->local_safe && number_of(remote_->local_safe) > number_of(remote_->safe)) return remote_->local_safe;
  return remote_->safe ? remote_->safe : remote_->finalized;
}

std::optional<eth::BlockRef> Follower::target() const {
  const auto g = goal();
  const auto highest = options_.unsafe_from_gossip ? gossip_.highest() : std::nullopt;
  return highest && highest->tip.number > number_of(g) ? highest->tip : g;
}

std::optional<eth::BlockRef> Follower::gap() const {
  if (!options_.unsafe_from_gossip || !remote_ || !local_ || !local_->labels.latest) return std::nullopt;
  // An old branch may be higher than the one that grows: the first whose gap the source can fill.
  for (const GossipBlocks::Chain& waiting : gossip_.chains()) {
    if (gaps_aside_.contains(waiting.lowest.hash)) continue;
    const auto g = gap_below(waiting);
    if (g && number_of(remote_->unsafe) >= g->number) return g;
  }
  return std::nullopt;
}

std::optional<eth::BlockRef> Follower::gap_below(const GossipBlocks::Chain& waiting) const {
  const std::uint64_t head = local_->labels.latest->number;
  const eth::BlockRef& lowest = waiting.lowest;
  if (lowest.number == 0) return std::nullopt;
  // What stands on our own chain needs nothing of the source.
  if (lowest.number - 1 > head) return eth::BlockRef{lowest.number - 1, lowest.parent_hash, {}, lowest.timestamp};
  const auto ours = ours_at(lowest.number - 1);
  if (!ours || *ours == lowest.parent_hash || waiting.tip.number < head + kLonger) return std::nullopt;
  if (eth::BlockRef unknown; passes_derived(waiting.tip, unknown) == false) return std::nullopt;
  // It leaves ours further down. What is not above our head is no way forward.
  return gossip_.ancestor(waiting.tip, head + 1);
}

std::optional<Hash32> Follower::ours_at(std::uint64_t number) const {
  if (!local_ || !local_->labels.latest) return std::nullopt;
  for (const auto* known : {&recent_, &compared_})
    if (const auto it = known->find(number); it != known->end()) return it->second;
  for (const auto& label : {local_->labels.safe, local_->labels.finalized})
    if (label && label->number == number && number <= local_->labels.latest->number) return label->hash;
  return std::nullopt;
}

std::optional<bool> Follower::on_our_chain(const std::optional<eth::BlockRef>& block) const {
  const auto ours = block ? ours_at(block->number) : std::nullopt;
  return ours ? std::optional{*ours == block->hash} : std::nullopt;
}

bool Follower::replaying() const {
  return remote_ && contract::serves_sync_status(remote_->kind) && remote_->current_l1 &&
         remote_->current_l1->hash.is_zero();
}

void Follower::note_head() {
  if (!local_ || !local_->labels.latest) return;
  const eth::BlockRef& head = *local_->labels.latest;
  recent_.erase(recent_.upper_bound(head.number), recent_.end());
  const auto has = [&](std::uint64_t number, const Hash32& hash) {
    const auto it = recent_.find(number);
    return it != recent_.end() && it->second == hash;
  };
  if (has(head.number, head.hash)) return;
  // Down by parents until what is known is reached. If it is not, nothing that was known may be on this chain.
  std::map<std::uint64_t, Hash32> way;
  auto linked = recent_.end();
  for (const eth::BlockRef* at = &head; at != nullptr && at->number > 0 && linked == recent_.end();) {
    way[at->number] = at->hash;
    const std::uint64_t below = at->number - 1;
    if (has(below, at->parent_hash)) linked = recent_.find(below);
    at = gossip_.find(at->parent_hash);
    if (at != nullptr && at->number != below) break;
  }
  recent_.erase(linked == recent_.end() ? recent_.begin() : std::next(linked), recent_.end());
  recent_.merge(way);
  while (recent_.size() > kRecentBlocks) recent_.erase(recent_.begin());
}

std::optional<std::uint64_t> Follower::distance() const {
  const auto t = target();
  if (!t || !local_ || !local_->labels.latest) return std::nullopt;
  const std::uint64_t head = local_->import ? std::max(local_->import->imported.number, local_->labels.latest->number)
                                            : local_->labels.latest->number;
  return t->number > head ? t->number - head : 0;
}

eth::BlockId Follower::fence() const {
  eth::BlockId f = options_.genesis;
  if (local_->labels.finalized && local_->labels.finalized->number > f.number) f = local_->labels.finalized->id();
  if (local_->fence && local_->fence->number >= f.number) f = *local_->fence;
  return f;
}

contract::CommandStamp Follower::command() const {
  return {kSingle, epoch_, local_->labels.latest->hash, remote_ ? remote_->chain_time : absl::InfinitePast()};
}

// ---------------------------------------------------------------- bookkeeping

std::uint64_t Follower::start(Pending p) {
  pending_ = p;
  pending_id_ = ++last_id_;
  return pending_id_;
}

bool Follower::finish(std::uint64_t id) {
  if (id == 0 || id != pending_id_) return false;
  pending_id_ = 0;
  pending_ = Pending::none;
  return true;
}

void Follower::back_off(Backoff& b, absl::Time now) {
  b.failed(now, std::uniform_real_distribution<double>{0.8, 1.2}(random_));
}

absl::Time Follower::next_wake() const { return pending_ == Pending::none ? retry_.due() : absl::InfiniteFuture(); }

// ---------------------------------------------------------------- events

std::optional<Effect> Follower::on_remote(const contract::HeadSnapshot& s, absl::Time now) {
  const bool blocks_come = remote_ && remote_->blocks_trouble && !s.blocks_trouble;
  const bool of_blocks =
      reason_code() == ReasonCode::source_unavailable ||
      (remote_ && remote_->blocks_trouble && reason_code() == Code::of_source(remote_->blocks_trouble->code));
  offered_ = s;
  choose_lead(now);
  if (stuck_at_ && local_ && !against_rewind(*stuck_at_).empty()) may_rewind_since_.reset();
  if (state() == TowState::waiting_for_source && importing_ && !importing_->from_gossip()) {
    if (pending_ == Pending::import && blocks_come)
      report_.enter(TowState::importing, ReasonCode::importing,
                    absl::StrCat("importing to ", eth::to_string(importing_->tip)), now);
    // What the source says of its trouble may come after the import has ended for it.
    else if (of_blocks && s.blocks_trouble) wait_for_blocks({}, now);
  }
  if (!replaying()) {
    derived_.clear();
    if (s.safe && s.safe_hold != contract::Hold::quorum_lost) derived_.push_back(*s.safe);
    if (s.local_safe) derived_.push_back(*s.local_safe);
  }
  return step(now);
}

void Follower::choose_lead(absl::Time now) {
  std::erase_if(demoted_, [&](const auto& d) { return now >= d.second; });
  remote_ = offered_;
  const auto& others = offered_->others;
  // Where no branch has most of the votes signed gossip decides, else the order.
  std::vector<bool> rounds = {false};
  if (no_majority() && options_.unsafe_from_gossip) rounds.insert(rounds.begin(), true);
  for (const bool gossiped : rounds) {
    const auto may = [&](const std::string& endpoint, const std::optional<eth::BlockRef>& head) {
      if (demoted_.contains(endpoint)) return false;
      return !gossiped || (head && (gossip_.find(head->hash) != nullptr || gossip_.find(head->parent_hash) != nullptr));
    };
    if (may(offered_->endpoint, offered_->unsafe)) return;
    const auto next =
        std::find_if(others.begin(), others.end(), [&](const auto& l) { return may(l.endpoint, l.unsafe); });
    if (next == others.end()) continue;
    remote_->endpoint = next->endpoint;
    remote_->kind = next->kind;
    remote_->unsafe = next->unsafe;
    remote_->local_safe.reset();
    remote_->current_l1.reset();
    return;
  }
}

bool Follower::derived_above(std::uint64_t number) const {
  return remote_ && (number_of(remote_->safe) > number || number_of(remote_->local_safe) > number);
}

void Follower::note_switch(absl::Time now) {
  if (!switches_on_unsafe_ || !local_->labels.latest || local_->labels.latest->hash == head_before_) return;
  switches_on_unsafe_ = false;
  const bool goes_on = now < hold_branch_until_ + hold_branch_for_;
  hold_branch_for_ = goes_on ? std::min(hold_branch_for_ * 2, kLongestHold) : kFirstHold;
  hold_branch_until_ = now + hold_branch_for_;
}

bool Follower::demote(const std::string& why, absl::Time now) {
  if (!remote_ || !offered_) return false;
  const std::string endpoint = remote_->endpoint;
  demoted_[endpoint] = now + kDemoted;
  choose_lead(now);
  if (remote_->endpoint == endpoint || demoted_.contains(remote_->endpoint)) return false;
  report_.note({Action::demoted,
                absl::StrCat(endpoint, " leads no more for ", absl::ToInt64Seconds(kDemoted), " s, ", remote_->endpoint,
                             " does: ", why),
                absl::StrCat("demoted ", endpoint)},
               now);
  return true;
}

std::optional<Effect> Follower::on_remote_lost(const contract::SourceTrouble& why, absl::Time now) {
  offered_.reset();
  remote_.reset();
  may_rewind_since_.reset();
  remote_lost_ = why;
  return step(now);
}

std::optional<Effect> Follower::on_gossip(const eth::BlockRef& block, absl::Time now) {
  if (!options_.unsafe_from_gossip) return {};
  gossip_.add(block);
  if (on_our_chain(block) == true ||
      (local_ && local_->labels.latest && local_->labels.latest->hash == block.parent_hash)) {
    gossip_named_ = block;
    gossip_named_ours_ = now;
  }
  return step(now);
}

std::optional<Effect> Follower::on_local(const contract::EngineState& s, absl::Time now) {
  // A restarted EL is a new start: nothing that was found out of the old one counts.
  if (local_ && s.engine_session != local_->engine_session) {
    retry_.progress();
    compared_.clear();
    invalid_target_.reset();
    labels_first_ = true;
  }
  if (needs_operator() && pending_ == Pending::import && s.import && s.import->blocks > 0 && s.labels.latest &&
      s.labels.latest->hash != head_before_) {
    report_.enter(TowState::importing, ReasonCode::importing,
                  absl::StrCat("importing to ", eth::to_string(s.import->tip)), now);
  }
  local_ = s;
  note_head();
  note_switch(now);
  const std::uint64_t next = s.epoch + 1;
  // A driver that lost its state begins again, and takes no leap.
  if ((epoch_ == 0 && s.status != contract::EngineStatus::starting) || epoch_ > s.epoch + kEpochLeap) epoch_ = next;
  const bool single = s.authority.empty() || s.authority == kSingle;
  superseded_ = !single || (epoch_ != 0 && s.epoch > epoch_);
  if (superseded_ && single && s.watchers <= 1 && s.idle >= kOtherIsGone) {
    superseded_ = false;
    epoch_ = next;
    report_.note(Action::take_over,
                 "the other coordinator does not watch this engine-driver any more and commands nothing", now);
  }
  return step(now);
}

std::optional<Effect> Follower::on_local_lost(const std::string& why, absl::Time now) {
  local_.reset();
  local_lost_ = why;
  return step(now);
}

std::optional<Effect> Follower::on_wake(absl::Time now) { return step(now); }

std::optional<Effect> Follower::pause(const std::string& reason, absl::Time now) {
  paused_ = reason.empty() ? "paused by an operator" : reason;
  report_.note(Action::pause, *paused_, now);
  return step(now);
}

std::optional<Effect> Follower::resume(absl::Time now) {
  paused_.reset();
  report_.note(Action::resume, "resumed by an operator", now);
  retry_.progress();
  return step(now);
}

std::optional<Effect> Follower::on_compared(std::uint64_t id, const absl::StatusOr<std::vector<eth::BlockRef>>& remote,
                                            const absl::StatusOr<std::vector<eth::BlockRef>>& local, absl::Time now) {
  const Pending was = pending_;
  if (!finish(id)) return {};
  const bool of_branch = was == Pending::compare_branch;
  if (!local_ || (!of_branch && (!remote_ || !goal()))) {
    walkback_.reset();
    return step(now);
  }
  if (!local.ok() || (!of_branch && !remote.ok())) {
    walkback_.reset();
    const absl::Status& why = local.ok() ? remote.status() : local.status();
    report_.enter(local.ok() ? TowState::waiting_for_source : TowState::waiting_for_engine,
                  local.ok() ? ReasonCode::source_unavailable : ReasonCode::engine_unavailable,
                  absl::StrCat("headers cannot be compared: ", short_of(why)), now);
    back_off(local.ok() ? retry_.source : retry_.engine, now);
    return {};
  }
  if (!local_->labels.latest || walkback_head_ != local_->labels.latest->hash) {
    // The EL has another head by now: what was found out below the old one says nothing of it.
    walkback_.reset();
    return step(now);
  }
  if (of_branch) {
    for (const eth::BlockRef& b : *local) recent_.emplace(b.number, b.hash);
    while (recent_.size() > kRecentBlocks) recent_.erase(recent_.begin());
    const bool learnt =
        std::any_of(local->begin(), local->end(), [&](const auto& b) { return recent_.contains(b.number); });
    if (!learnt) back_off(retry_.engine, now);
    return step(now);
  }
  if (was == Pending::compare_near) {
    const eth::BlockRef& asked = comparing_;
    const auto ours =
        std::find_if(local->begin(), local->end(), [&](const auto& b) { return b.number == asked.number; });
    if (ours != local->end()) {
      compared_[asked.number] = ours->hash;
      if (compared_.size() > kComparedBlocks) compared_.erase(compared_.begin());
      if (ours->hash == asked.hash) return step(now);
    }
    return start_walkback(
        absl::StrCat("the remote has ", eth::to_string(asked), " at a height where we have another block"), now);
  }
  const eth::BlockRef t = *goal();
  switch (walkback_->on_answers(*remote, *local)) {
    case Walkback::Result::searching: return continue_walkback();
    case Walkback::Result::stuck:
      walkback_.reset();
      report_.note(Action::walkback_again, "the answers of the two sides do not fit together", now);
      back_off(retry_.source, now);
      return {};
    case Walkback::Result::diverged: {
      const auto theirs = walkback_->remote_at_low();
      const eth::BlockId ours = walkback_->ancestor();
      walkback_.reset();
      return contradicted(ours, theirs, now);
    }
    case Walkback::Result::found: break;
  }
  const eth::BlockId ancestor = walkback_->ancestor();
  last_walkback_rounds_ = walkback_->rounds();
  walkback_.reset();
  if (ancestor.number == walkback_high_ && std::min(local_->labels.latest->number, t.number) > walkback_high_) {
    // The target was lower when the search began (a source that restarted): there may be more in common above.
    return start_walkback("the target has grown during the search", now);
  }
  diverged_remote_.reset();
  const eth::BlockRef& head = *local_->labels.latest;
  if (t.number <= ancestor.number) {
    // The target moved while we searched, or who leads has not got the head that it names.
    if (demote("its chain has another block than the head that it names", now)) return step(now);
    back_off(retry_.engine, now);
    return {};
  }
  const bool below_safe = local_->labels.safe && ancestor.number < local_->labels.safe->number;
  if (below_safe && no_majority()) {
    // Not on fewer votes than made it safe.
    report_.note(Action::hold_branch, "a branch that leaves ours below the safe block has no majority", now);
    report_.enter(TowState::at_tip, ReasonCode::hold_branch, decisions().back().reason, now);
    back_off(retry_.source, now);
    return {};
  }
  if (ancestor.hash != head.hash && no_majority() && gossip_names_ours(now) && gossip_named_.number > ancestor.number) {
    // Nor off the chain that signed gossip names.
    report_.note(Action::hold_branch, "a branch that has no majority leaves the one that the p2p network brings", now);
    report_.enter(TowState::at_tip, ReasonCode::hold_branch, decisions().back().reason, now);
    back_off(retry_.source, now);
    return {};
  }
  if (ancestor.hash != head.hash) {
    // Unsafe heads may contradict each other for a while; only what is derived from L1 changes our branch at any time.
    if (!derived_above(ancestor.number) && now < hold_branch_until_) {
      report_.note(Action::hold_branch,
                   "the source's unsafe head is on another branch, but branches were changed just now", now);
      report_.enter(TowState::at_tip, ReasonCode::hold_branch, decisions().back().reason, now);
      retry_.source.wait_until(hold_branch_until_);
      return {};
    }
  }
  if (ancestor.hash != head.hash) {
    last_reorg_depth_ = head.number > ancestor.number ? head.number - ancestor.number : 0;
    report_.note(
        Action::reorg,
        absl::StrCat("the remote left our chain after ", eth::to_string(ancestor), ", ", last_reorg_depth_,
                     " below our head ", eth::to_string(head), "; found in ", last_walkback_rounds_, " round(s)"),
        now);
  }
  searched_ = true;
  return import(ancestor, now);
}

std::optional<Effect> Follower::on_command_done(std::uint64_t id, const absl::StatusOr<contract::CommandResult>& result,
                                                absl::Time now) {
  const Pending was = pending_;
  if (!finish(id)) return {};
  if (result.ok() && local_ && result->labels.latest) {
    local_->labels = result->labels;
    note_head();
    note_switch(now);
  }
  if (local_) local_->import.reset();
  if (result.ok() && result->outcome == contract::Outcome::refused) {
    if (result->refusal == contract::Refusal::stale_epoch || result->refusal == contract::Refusal::other_authority) {
      superseded_ = true;
      return step(now);
    }
    report_.note(Action::refused, result->reason, now);
    back_off(retry_.engine, now);
    if (result->refusal == contract::Refusal::not_canonical && local_ && remote_)
      return start_walkback(result->reason, now);
    return {};
  }
  if (!result.ok()) {
    const absl::Status& why = result.status();
    report_.note(Action::command_failed, short_of(why), now);
    back_off(retry_.engine, now);
    if (absl::IsUnavailable(why))
      report_.enter(TowState::waiting_for_engine, ReasonCode::engine_unavailable, short_of(why), now);
    return {};
  }
  const contract::CommandResult& r = *result;
  const bool of_gossip = was == Pending::import && importing_->from_gossip();
  if (!local_ || !local_->labels.latest || (!remote_ && !of_gossip)) {
    back_off(retry_.engine, now);
    return step(now);
  }
  if (was == Pending::import) return after_import(r, now);
  if (r.outcome == contract::Outcome::done) {
    retry_.progress();
    if (was == Pending::rewind)
      report_.note(Action::rewound, absl::StrCat("the EL's head is ", eth::to_string(*r.labels.latest)), now);
    return step(now);
  }
  report_.note(was == Pending::rewind ? Action::rewind_failed : Action::forkchoice_failed, r.reason, now);
  back_off(retry_.engine, now);
  if (was == Pending::rewind)
    report_.enter(TowState::needs_operator, ReasonCode::rewind_failed,
                  absl::StrCat("the EL could not be rewound: ", r.reason), now);
  return {};
}

// ---------------------------------------------------------------- decisions

std::optional<Effect> Follower::step(absl::Time now) {
  if (pending_ != Pending::none) return {};
  retry_.expire(now);
  if (paused_) {
    report_.enter(TowState::paused, ReasonCode::paused, *paused_, now);
    retry_.stop_waiting();
    return {};
  }
  if (!local_) {
    report_.enter(TowState::waiting_for_engine, ReasonCode::driver_unreachable, local_lost_, now);
    return {};
  }
  if (superseded_) {
    report_.enter(TowState::waiting_for_engine, ReasonCode::superseded,
                  "another coordinator commands this engine-driver; this one stays out of its way", now);
    return {};
  }
  if (auto trouble = engine_trouble(local_->status, local_->reason)) {
    report_.enter(trouble->state, std::move(trouble->code), std::move(trouble->reason), now);
    return {};
  }
  if (!local_->labels.latest) return {};
  absl::erase_if(gaps_aside_, [&](const auto& g) { return now >= g.second; });
  if (remote_ && !retry_.waits(now)) return follow(now);
  if (!retry_.engine.waits(now)) {
    if (auto e = follow_gossip(now)) return *std::move(e);
  }
  if (remote_) return {};
  if (head_from_gossip_) {
    report_.enter(TowState::at_tip, ReasonCode::gossip_only,
                  absl::StrCat("at the head of the p2p network; safe and finalized stand still: ", remote_lost_.why),
                  now);
  } else {
    const Code code = Code::of_source(remote_lost_.code);
    report_.enter(code == ReasonCode::unknown_rules ? TowState::unknown_rules : TowState::waiting_for_source, code,
                  remote_lost_.why, now);
  }
  return {};
}

std::optional<std::optional<Effect>> Follower::follow_gossip(absl::Time now) {
  if (!options_.unsafe_from_gossip) return std::nullopt;
  if (retry_.gossip.waits(now)) return std::nullopt;
  const eth::BlockRef& head = *local_->labels.latest;
  if (local_->labels.safe) gossip_.drop_up_to(local_->labels.safe->number);
  if (const auto tip = gossip_.tip_above(head.id()); tip && invalid_target_ != tip->hash) {
    // A branch that the source's safe chain has left is not fed any more.
    eth::BlockRef unknown;
    const auto passes = passes_derived(*tip, unknown);
    if (!passes && !retry_.waits(now)) return compare(unknown);
    if (passes != true) return std::nullopt;
    searched_ = false;
    return import(head.id(), *tip, true, now);
  }
  // Another signed branch, from a block of ours on. What was left behind may be higher than the one that grows.
  for (const GossipBlocks::Chain& other : gossip_.chains()) {
    if (other.tip.number < head.number + kLonger) break;
    if (invalid_target_ == other.tip.hash) continue;
    const auto fork = fork_below(other.tip);
    if (!fork) {
      if (auto unknown = unknown_below(other); !unknown.empty() && !retry_.waits(now))
        return ask(Pending::compare_branch, std::move(unknown));
      continue;
    }
    if (fork->number < number_of(local_->labels.safe)) continue;
    if (eth::BlockRef unknown; passes_derived(other.tip, unknown) != true) continue;
    const auto named = [&](const std::optional<eth::BlockRef>& b) {
      return b && b->number > fork->number && on_our_chain(b) == true;
    };
    if (remote_ && (named(remote_->unsafe) || named(remote_->local_safe))) continue;
    if (now < hold_branch_until_) {
      report_.note(Action::hold_branch, "another signed branch is longer, but branches were changed just now", now);
      return std::nullopt;
    }
    last_reorg_depth_ = head.number - fork->number;
    report_.note(
        Action::reorg,
        absl::StrCat("a signed branch leaves ours after ", eth::to_string(*fork), ", ", last_reorg_depth_,
                     " below our head, and is ", other.tip.number - head.number, " longer; nobody names either"),
        now);
    searched_ = false;
    return import(fork->id(), other.tip, true, now);
  }
  return std::nullopt;
}

std::vector<std::uint64_t> Follower::unknown_below(const GossipBlocks::Chain& branch) const {
  std::vector<std::uint64_t> out;
  const std::uint64_t head = local_->labels.latest->number;
  for (std::uint64_t n = branch.lowest.number - std::min<std::uint64_t>(branch.lowest.number, 1);
       n <= std::min(head, branch.tip.number) && out.size() < options_.header_batch; ++n) {
    const auto ours = ours_at(n);
    if (!ours) out.push_back(n);
    // It stands on a block that is not ours: no question about ours helps.
    if (ours && n < branch.lowest.number && *ours != branch.lowest.parent_hash) return {};
  }
  return out;
}

std::optional<bool> Follower::passes_derived(const eth::BlockRef& tip, eth::BlockRef& unknown) const {
  for (const eth::BlockRef& b : derived_) {
    if (b.number > tip.number) continue;
    const eth::BlockRef& at = gossip_.ancestor(tip, b.number);
    const auto on = at.number == b.number       ? at.hash == b.hash
                    : at.number == b.number + 1 ? at.parent_hash == b.hash
                                                : on_our_chain(b);
    if (on == false) return false;
    if (on || !remote_ || replaying()) continue;  // nobody there to be asked
    unknown = b;
    return std::nullopt;
  }
  return true;
}

std::optional<eth::BlockRef> Follower::fork_below(const eth::BlockRef& tip) const {
  for (const eth::BlockRef* at = &tip; at != nullptr && at->number > 0; at = gossip_.parent_of(*at)) {
    const eth::BlockRef below{at->number - 1, at->parent_hash, {}, 0};
    if (on_our_chain(below) != true) continue;
    return on_our_chain(*at) == false ? std::optional{below} : std::nullopt;
  }
  return std::nullopt;
}

std::optional<Effect> Follower::follow(absl::Time now) {
  const eth::BlockRef& head = *local_->labels.latest;
  const auto t = goal();
  if (!t) {
    if (auto e = follow_gossip(now)) return *std::move(e);
    report_.enter(TowState::waiting_for_source, ReasonCode::no_target,
                  "the source has no head yet that may be followed", now);
    return {};
  }
  if (replaying()) {
    if (auto e = follow_gossip(now)) return *std::move(e);
    report_.note(Action::hold, "the source is starting or replaying (current_l1 is zero)", now);
    if (state() != TowState::at_tip)
      report_.enter(TowState::waiting_for_source, ReasonCode::source_replaying,
                    "the source is starting or replaying (current_l1 is zero)", now);
    return {};
  }
  const eth::BlockId f = fence();
  if (remote_->finalized && remote_->finalized->number == f.number && remote_->finalized->hash != f.hash)
    return diverged(f, remote_->finalized->id(), now);
  if (auto e = restore_labels(now)) return *std::move(e);
  if (auto e = follow_gossip(now)) return *std::move(e);
  // Who leads may have led us off what most have.
  if (const auto& most = remote_->agreed; most && most->number <= head.number && t->number >= most->number) {
    const eth::BlockRef block{most->number, most->hash, {}, 0};
    const auto has = on_our_chain(block);
    if (!has) return compare(block);
    if (!*has && (t->hash == head.hash || on_our_chain(t) == true) &&
        demote(absl::StrCat("most trust groups have ", eth::to_string(*most), ", which is not on its chain"), now))
      return step(now);
  }
  if (t->hash == head.hash) return follow_labels(now);
  if (t->number > head.number) {
    if (invalid_target_ == t->hash) {
      if (!needs_operator())
        report_.enter(TowState::waiting_for_source, ReasonCode::invalid_block,
                      absl::StrCat("block ", eth::to_string(*invalid_block_),
                                   " is INVALID, or kept from the EL; waiting for the source to take another branch"),
                      now);
      invalid_target_.reset();  // asked again when the back-off is over: an EL's restart may have healed it
      retry_.engine.at_least(5);
      back_off(retry_.engine, now);
      return {};
    }
    searched_ = false;
    return import(head.id(), now);
  }
  const auto ours = on_our_chain(t);
  if (ours == true) return follow_labels(now);
  if (ours == false && now < hold_branch_until_ && on_our_chain(remote_->safe) != false &&
      on_our_chain(remote_->local_safe) != false)
    return {};
  return compare(*t);
}

std::optional<Effect> Follower::compare(const eth::BlockRef& block) {
  comparing_ = block;
  return ask(Pending::compare_near, {block.number});
}

std::optional<Effect> Follower::ask(Pending p, std::vector<std::uint64_t> numbers) {
  walkback_head_ = local_->labels.latest->hash;
  return Compare{start(p), std::move(numbers), remote_ ? remote_->endpoint : ""};
}

std::optional<Effect> Follower::follow_labels(absl::Time now) {
  const eth::BlockRef& head = *local_->labels.latest;
  const auto t = goal();
  gaps_rest_ = false;
  stuck_at_.reset();
  diverged_remote_.reset();
  const auto& have_safe = local_->labels.safe;
  if (remote_->safe && have_safe && remote_->safe->number < have_safe->number) {
    report_.note({Action::hold_safe,
                  absl::StrCat("remote safe ", eth::to_string(*remote_->safe), " is below ours ",
                               eth::to_string(*have_safe), " on the same chain"),
                  "hold_safe"},
                 now);
  }
  if (remote_->finalized && remote_->finalized->number < fence().number) {
    report_.note({Action::hold_finalized,
                  absl::StrCat("remote finalized ", eth::to_string(*remote_->finalized), " is below ours ",
                               eth::to_string(fence())),
                  "hold_finalized"},
                 now);
  }
  const contract::ImportRange wanted = with_labels({head.id(), head.id(), {}, {}}, now);
  if (!wanted.safe && !wanted.finalized) {
    retry_.progress();
    if (t->hash == head.hash) {
      report_.enter(TowState::at_tip, ReasonCode::at_tip, "at the head of the source", now);
    } else if (head_from_gossip_) {
      report_.enter(TowState::at_tip, ReasonCode::at_tip, "at the head of the p2p network", now);
    } else {
      report_.enter(TowState::at_tip, ReasonCode::ahead_of_source,
                    absl::StrCat("the source's head ", eth::to_string(*t), " is an ancestor of ours"), now);
      report_.note({Action::no_op, reason(), "no_op"}, now);
    }
    return {};
  }
  setting_ = contract::Forkchoice{head.id(), wanted.safe, wanted.finalized};
  report_.note({Action::forkchoice,
                absl::StrCat("labels to", wanted.safe ? absl::StrCat(" safe ", eth::to_string(*wanted.safe)) : "",
                             wanted.finalized ? absl::StrCat(" finalized ", eth::to_string(*wanted.finalized)) : ""),
                "forkchoice"},
               now);
  if (t->hash == head.hash) report_.enter(TowState::at_tip, ReasonCode::at_tip, "at the head of the source", now);
  return SetForkchoice{start(Pending::forkchoice), command(), *setting_};
}

std::optional<std::optional<Effect>> Follower::restore_labels(absl::Time now) {
  if (!std::exchange(labels_first_, false)) return std::nullopt;
  const eth::BlockRef& head = *local_->labels.latest;
  const auto& confirmed = local_->fence;
  if (!confirmed || confirmed->number > head.number || number_of(local_->labels.finalized) >= confirmed->number)
    return std::nullopt;
  setting_ = contract::Forkchoice{head.id(), {}, confirmed};
  if (number_of(local_->labels.safe) < confirmed->number) setting_->safe = confirmed;
  report_.note(Action::forkchoice,
               absl::StrCat("the EL came back: finalized to ", eth::to_string(*confirmed), " again"), now);
  return SetForkchoice{start(Pending::forkchoice), command(), *setting_};
}

bool Follower::gossip_names_ours(absl::Time now) const {
  return now - gossip_named_ours_ <= kGossipFresh && on_our_chain(gossip_named_) == true;
}

std::optional<eth::BlockRef> Follower::voted_safe(absl::Time now) const {
  if (remote_->safe_hold != contract::Hold::quorum_lost) return remote_->safe;
  const bool named = gossip_names_ours(now) && number_of(remote_->safe) <= gossip_named_.number;
  return named ? remote_->safe : std::nullopt;
}

contract::ImportRange Follower::with_labels(contract::ImportRange r, absl::Time now) const {
  if (!remote_) return r;
  const auto& have_safe = local_->labels.safe;
  const auto& have_finalized = local_->labels.finalized;
  const bool switches = r.parent.hash != local_->labels.latest->hash;
  const auto safe = voted_safe(now);
  const auto& finalized = remote_->finalized;
  if (finalized && finalized->number <= r.tip.number && finalized->number >= fence().number &&
      (!have_finalized || finalized->number > have_finalized->number)) {
    r.finalized = finalized->id();
  }
  if (safe && safe->number <= r.tip.number && safe->number >= fence().number &&
      (!have_safe || safe->number > have_safe->number || switches))
    r.safe = safe->id();
  // Finalized is safe, too: a label that lags behind is lifted with it.
  if (r.finalized) {
    const std::uint64_t safe_number = r.safe ? r.safe->number : number_of(have_safe);
    if (safe_number < r.finalized->number) r.safe = r.finalized;
  }
  return r;
}

std::optional<Effect> Follower::import(const eth::BlockId& parent, absl::Time now) {
  return import(parent, *goal(), false, now);
}

std::optional<Effect> Follower::import(const eth::BlockId& parent, const eth::BlockRef& tip, bool from_gossip,
                                       absl::Time now) {
  if (parent.hash != local_->labels.latest->hash) compared_.clear();
  const bool goes_on = importing_ && importing_->tip == parent;
  importing_ = with_labels(
      {parent, tip.id(), {}, {}, from_gossip ? contract::PayloadOrigin::gossip : contract::PayloadOrigin::remote}, now);
  head_before_ = local_->labels.latest->hash;
  switches_on_unsafe_ = parent.hash != head_before_ && (from_gossip || !derived_above(parent.number));
  const std::uint64_t blocks = tip.number - parent.number;
  // A block or a few at the tip, as they come, is nothing that anybody looks for later.
  const bool routine = state() == TowState::at_tip && blocks <= kTipBlocks && parent.hash == head_before_;
  const std::string what = absl::StrCat(blocks, " block(s) from ", eth::to_string(parent), " to ", eth::to_string(tip),
                                        from_gossip ? ", which the p2p network brought" : "");
  if (routine) report_.note({Action::import, what, from_gossip ? "import of gossip" : "import of the source"}, now);
  else report_.note(Action::import, what, now);
  if (remote_ && !remote_->unknown_rules.empty()) {
    report_.enter(TowState::unknown_rules, ReasonCode::unknown_rules,
                  absl::StrCat("every source fails the same check, is there a fork that this version does not know? ",
                               remote_->unknown_rules),
                  now);
  } else if (remote_ && remote_->blocks_trouble && state() == TowState::waiting_for_source) {
    // It was tried in vain before: said until blocks come.
  } else if (blocks <= kTipBlocks && ((state() == TowState::importing && goes_on) ||
                                      (state() == TowState::walking_back && parent.hash == head_before_))) {
    // The source is slow: whenever its blocks have been imported there are some more. Or its replicas lag: what one
    // shows as the head another has not got yet, and there was nothing to walk back.
    report_.enter(TowState::at_tip, ReasonCode::at_tip,
                  absl::StrCat("following the source, ", blocks, " block(s) behind"), now);
  } else if (!needs_operator() && (state() != TowState::at_tip || blocks > kTipBlocks)) {
    report_.enter(TowState::importing, ReasonCode::importing,
                  absl::StrCat("importing ", blocks, " block(s) to ", eth::to_string(tip)), now);
  }
  return Import{start(Pending::import), command(), *importing_};
}

std::optional<Effect> Follower::after_import(const contract::CommandResult& r, absl::Time now) {
  const contract::ImportRange range = *importing_;
  const bool moved = r.labels.latest && r.labels.latest->hash != head_before_;
  gaps_rest_ = false;
  switch (r.outcome) {
    case contract::Outcome::done:
      head_from_gossip_ = range.from_gossip();
      retry_.progress();
      stuck_at_.reset();
      diverged_remote_.reset();
      invalid_target_.reset();
      return step(now);
    case contract::Outcome::source_reorged:
      report_.note(Action::source_reorged, r.reason, now);
      if (range.from_gossip()) {
        // It does not have them all any more (they were evicted, or it was restarted): the source has.
        gossip_.drop_lower_half(moved ? r.labels.latest->id() : range.parent, range.tip.hash);
        return step(now);
      }
      if (searched_) {
        // Gossiped blocks that the source knows no way to.
        for (const GossipBlocks::Chain& waiting : gossip_.chains()) {
          if (const auto g = gap_below(waiting); !g || g->hash != range.tip.hash) continue;
          gaps_aside_[waiting.lowest.hash] = now + kGapAside;
          gaps_rest_ = true;
        }
        if (!gaps_rest_ && demote(r.reason, now)) return step(now);
        // What the search found does not hold any more: the source is changing, or does not know itself. Its next
        // snapshot may tell.
        searched_ = false;
        back_off(retry_.source, now);
        return {};
      }
      return start_walkback("the target is not a descendant of our head", now);
    case contract::Outcome::missing_state: {
      report_.note(Action::missing_state, r.reason, now);
      if (moved) {
        // What was imported is the head now, with its state: on from there.
        retry_.progress();
        return step(now);
      }
      return cannot_go_on(range.parent, r.reason, now);
    }
    case contract::Outcome::invalid:
      report_.note(Action::invalid_block, r.reason, now);
      invalid_target_ = range.tip.hash;
      invalid_block_ = r.block.value_or(range.tip);
      if (range.from_gossip()) gossip_.drop(invalid_block_->hash);
      else if (demote(r.reason, now)) return step(now);
      if (!range.from_gossip() && offered_ && !offered_->others.empty()) {
        // Several of the branch that most have, and all lead to it: no other branch is followed for that, or an EL that
        // is out of date would hand itself to a liar.
        stuck_at_ = range.parent;
        stuck_since_ = now;
        report_.enter(TowState::needs_operator, ReasonCode::el_refuses_majority,
                      absl::StrCat("the EL refuses what most sources have: ", r.reason), now);
        back_off(retry_.engine, now);
        return {};
      }
      report_.enter(TowState::waiting_for_source, ReasonCode::invalid_block, r.reason, now);
      back_off(retry_.engine, now);
      return {};
    case contract::Outcome::contradicts_finalized:
      report_.note(Action::contradicts_finalized, r.reason, now);
      back_off(retry_.engine, now);
      return range.from_gossip() ? diverged(fence(), r.block, now) : contradicted(fence(), r.block, now);
    case contract::Outcome::not_applied:
      report_.note(Action::not_applied, r.reason, now);
      if (!moved && r.labels.latest) return cannot_go_on(range.parent, r.reason, now);
      back_off(retry_.engine, now);
      return {};
    case contract::Outcome::engine_unavailable:
      report_.note(Action::engine_unavailable, r.reason, now);
      report_.enter(TowState::waiting_for_engine, ReasonCode::engine_unavailable, r.reason, now);
      back_off(retry_.engine, now);
      return {};
    case contract::Outcome::source_unavailable:
      report_.note(Action::source_unavailable, r.reason, now);
      if (range.from_gossip()) {
        // It is p2p-gossip that is away, not the blocks: the source leads meanwhile.
        if (moved) retry_.progress();
        retry_.gossip.failed(now);
        return step(now);
      }
      if (remote_ && remote_->unknown_rules.empty() && demote(r.reason, now)) return step(now);
      if (remote_ && remote_->unknown_rules.empty()) wait_for_blocks(r.reason, now);
      if (moved) retry_.progress();
      back_off(retry_.source, now);
      return {};
    case contract::Outcome::unsupported:
      report_.note(Action::unsupported, r.reason, now);
      report_.enter(
          TowState::needs_operator, ReasonCode::unsupported,
          absl::StrCat(
              "the EL does not take what this chain's forks ask for (fork times in the rollup config, or an old EL): ",
              r.reason),
          now);
      retry_.engine.at_least(10);
      back_off(retry_.engine, now);
      return {};
    case contract::Outcome::cancelled:
      report_.note(Action::cancelled, r.reason, now);
      back_off(retry_.engine, now);
      return {};
    case contract::Outcome::refused: break;  // on_command_done() knows what to do
  }
  return {};
}

std::optional<Effect> Follower::cannot_go_on(const eth::BlockId& parent, const std::string& why, absl::Time now) {
  const bool again = stuck_at_ == parent;
  if (!again) {
    stuck_at_ = parent;
    stuck_since_ = now;
    may_rewind_since_.reset();
  }
  const bool switches = parent.hash != head_before_;
  const std::string against = switches ? against_rewind(parent) : "";
  if (!against.empty()) may_rewind_since_.reset();
  else if (!may_rewind_since_) may_rewind_since_ = now;
  if (switches && against.empty() && now < *may_rewind_since_ + kRewindAfter) {
    report_.enter(TowState::waiting_for_engine, ReasonCode::engine_missing_state,
                  absl::StrCat("the EL has not got the state of ", eth::to_string(parent),
                               ": it is rewound there if most sources have that branch for ",
                               absl::ToInt64Seconds(*may_rewind_since_ + kRewindAfter - now), " s more"),
                  now);
    back_off(retry_.engine, now);
    return {};
  }
  // A killed op-geth that came back lower keeps blocks above its head and does not move onto them: a rewind to its own
  // head clears them away. One such answer can also be a call that was repeated to a client that had just come back, so
  // it takes two.
  if (local_->can_rewind && against.empty() && (switches || again)) {
    report_.note(Action::rewind,
                 switches
                     ? absl::StrCat("the EL has not got the state of ", eth::to_string(parent), ": rewinding it there")
                     : absl::StrCat("the EL does not move from its head ", eth::to_string(parent),
                                    " although it was restarted there: rewinding it to it"),
                 now);
    return Rewind{start(Pending::rewind), command(), parent};
  }
  const std::string set_head = absl::StrCat("debug_setHead(\"0x", absl::Hex(parent.number), "\")");
  if (now - stuck_since_ < kOperatorAfter) {
    report_.enter(TowState::waiting_for_engine, ReasonCode::engine_missing_state,
                  absl::StrCat("the EL cannot go on from ", eth::to_string(parent), " (yet): ", why), now);
  } else if (switches) {
    report_.enter(TowState::needs_operator, ReasonCode::branch_too_deep,
                  absl::StrCat("the EL cannot switch to the branch that leaves ours after ", eth::to_string(parent),
                               ": it has not got the state there. Rewind it to that block (op-geth: ", set_head,
                               "). It is not done by itself: ", against),
                  now);
  } else {
    report_.enter(TowState::needs_operator, ReasonCode::engine_missing_state,
                  absl::StrCat("the EL does not go on from its own head ", eth::to_string(parent),
                               ": was it killed? Rewind it to that block (op-geth: ", set_head,
                               "), or give engine-driver --engine.admin-rpc"),
                  now);
  }
  back_off(retry_.engine, now);
  return {};
}

std::string Follower::against_rewind(const eth::BlockId& parent) const {
  if (!local_->can_rewind) return "engine-driver has no --engine.admin-rpc";
  if (!remote_) return "no source is heard";
  if (no_majority()) return absl::StrCat(remote_->agree, " of ", remote_->groups, " trust groups have that branch");
  if (remote_->groups == 1 && !local_->rewind_for_single_source)
    return "nobody confirms the word of the one trust group (--engine.admin-rpc-trust=single-source believes it)";
  const auto& safe = remote_->safe;
  if (remote_->safe_hold != contract::Hold::none || !safe || safe->number <= parent.number ||
      on_our_chain(safe) == true)
    return "no block of that branch is safe";
  return {};
}

void Follower::wait_for_blocks(const std::string& why, absl::Time now) {
  const auto& t = remote_->blocks_trouble;
  report_.enter(TowState::waiting_for_source, t ? Code::of_source(t->code) : ReasonCode::source_unavailable,
                t ? t->why : why, now);
}

std::optional<Effect> Follower::start_walkback(const std::string& why, absl::Time now) {
  const auto t = goal();
  const eth::BlockRef& head = *local_->labels.latest;
  // An EL that came back below what is final has nothing of it: any block that it shares with the remote will do.
  const eth::BlockId f = head.number < fence().number ? options_.genesis : fence();
  const std::uint64_t high = std::min(head.number, t ? t->number : head.number);
  report_.note(Action::walkback, why, now);
  if (high < f.number) {
    // Below what is final there is nothing to go back to; a source that merely lags heals by itself.
    if (demote("its head is below our finalized block", now)) return step(now);
    report_.enter(TowState::waiting_for_source, ReasonCode::source_below_finalized,
                  absl::StrCat("the source's head is below our finalized ", eth::to_string(f)), now);
    back_off(retry_.engine, now);
    return {};
  }
  if (!needs_operator()) report_.enter(TowState::walking_back, ReasonCode::walking_back, why, now);
  walkback_.emplace(f, high, options_.header_batch);
  walkback_head_ = head.hash;
  walkback_high_ = high;
  return continue_walkback();
}

std::optional<Effect> Follower::continue_walkback() {
  return Compare{start(Pending::walkback), walkback_->numbers(), remote_->endpoint};
}

std::optional<Effect> Follower::contradicted(const eth::BlockId& ours, const std::optional<eth::BlockId>& theirs,
                                             absl::Time now) {
  if (remote_->groups <= 1 || remote_->contradicts_anchor) return diverged(ours, theirs, now);
  // Of several sources most have not said so: it is the one that leads.
  const std::string why =
      absl::StrCat(remote_->endpoint, " has another block where ", eth::to_string(ours), " is final");
  if (demote(why, now)) return step(now);
  report_.enter(TowState::waiting_for_source, ReasonCode::source_other_branch, why, now);
  back_off(retry_.source, now);
  return {};
}

std::optional<Effect> Follower::diverged(const eth::BlockId& ours, const std::optional<eth::BlockId>& theirs,
                                         absl::Time now) {
  diverged_remote_ = theirs;
  report_.enter(TowState::diverged, ReasonCode::diverged,
                absl::StrCat("the source contradicts a block that is final here: ours is ", eth::to_string(ours),
                             theirs ? absl::StrCat(", theirs ", eth::to_string(*theirs)) : "",
                             ". Nothing is followed until the source heals; see `towline recover`"),
                now);
  report_.note(Action::diverged, reason(), now);
  retry_.engine.at_least(3);
  back_off(retry_.engine, now);
  return {};
}

}  // namespace towline::coordinator
