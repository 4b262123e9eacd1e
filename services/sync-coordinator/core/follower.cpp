#include "services/sync-coordinator/core/follower.hpp"

#include <absl/strings/str_cat.h>

#include "services/sync-coordinator/core/label_choice.hpp"
#include "services/sync-coordinator/core/readiness.hpp"

namespace towline::coordinator {

Follower::Follower(const Options& o)
    : views_{LocalChain{o.genesis},
             RemoteView{o.unsafe_from_remote, o.unsafe_from_gossip},
             GossipView{o.unsafe_from_gossip, o.header_batch},
             {},
             {},
             Backoffs{o.seed},
             SyncStart{o.start}},
      search_{o.header_batch} {}

absl::Time Follower::next_wake() const {
  return pending_ == Pending::none ? views_.retry.due() : absl::InfiniteFuture();
}

std::uint64_t Follower::begin(Pending p) {
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

// ---------------------------------------------------------------- events

std::optional<Effect> Follower::on_remote(const contract::HeadSnapshot& s, absl::Time now) {
  const auto trouble = remote() ? remote()->blocks_trouble : std::nullopt;
  views_.remote.on_heads(s, views_.gossip.blocks(), now);
  views_.stuck.on_sources(views_.local, views_.remote, now);
  if (import_) tell_new_heads(*import_, pending_ == Pending::import, trouble, views_, report_, now);
  return step(now);
}

std::optional<Effect> Follower::on_remote_lost(const contract::SourceTrouble& why, absl::Time now) {
  views_.remote.on_lost(why);
  views_.stuck.on_sources(views_.local, views_.remote, now);
  return step(now);
}

std::optional<Effect> Follower::on_gossip(const eth::BlockRef& block, absl::Time now) {
  if (!views_.gossip.on()) return {};
  views_.gossip.on_block(block, views_.local, now);
  return step(now);
}

std::optional<Effect> Follower::on_local(const contract::EngineState& s, absl::Time now) {
  if (pending_ == Pending::import) tell_progress(*import_, s, views_, report_, now);
  if (views_.local.on_state(s, views_.gossip.blocks())) {
    views_.retry.progress();
    views_.stuck.forgive();
  }
  if (s.labels.unsafe) views_.hold.on_head(s.labels.unsafe->hash, now);
  if (authority_.on_state(s)) {
    report_.note(Action::take_over,
                 "the other coordinator does not watch this engine-driver any more and commands nothing", now);
  }
  return step(now);
}

std::optional<Effect> Follower::on_local_lost(const std::string& why, absl::Time now) {
  views_.local.on_lost(why);
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
  views_.retry.progress();
  return step(now);
}

std::optional<Effect> Follower::on_compared(std::uint64_t id, const Answer& remote, const Answer& local,
                                            absl::Time now) {
  if (!finish(id)) return {};
  return carry_out(after_answers(search_, remote, local, views_, report_, now), now);
}

std::optional<Effect> Follower::on_command_done(std::uint64_t id, const absl::StatusOr<contract::CommandResult>& result,
                                                absl::Time now) {
  const Pending was = pending_;
  if (!finish(id)) return {};
  if (result.ok() && local() && result->labels.unsafe) {
    views_.local.on_labels(result->labels, views_.gossip.blocks());
    views_.hold.on_head(result->labels.unsafe->hash, now);
  }
  views_.local.on_command_ended();
  if (!result.ok()) {
    const std::string why{result.status().message()};
    report_.note(Action::command_failed, why, now);
    views_.retry.engine_failed(now);
    if (absl::IsUnavailable(result.status()))
      report_.enter(TowState::waiting_for_engine, ReasonCode::engine_unavailable, why, now);
    return {};
  }
  const bool imported = was == Pending::import, refused = result->outcome == contract::Outcome::refused;
  const bool by_gossip = imported && import_->range.from_gossip();
  if (!refused && (!views_.local.has_head() || (!remote() && !by_gossip))) {
    views_.retry.engine_failed(now);
    return step(now);
  }
  const Origin origin = by_gossip                 ? Origin::gossip
                        : imported                ? Origin::remote
                        : was == Pending::rewind  ? Origin::rewind
                        : was == Pending::el_sync ? Origin::el_sync
                                                  : Origin::forkchoice;
  const Ending ending = ending_of(*result);
  const Reaction reaction = react(ending, origin);
  if (const auto action = noted(ending, origin)) report_.note(*action, result->reason, now);
  if (reaction == Reaction::give_way) authority_.on_refused();
  if (imported && !refused) views_.gossip.on_turn();
  if (imported && reaction == Reaction::go_on) {
    views_.gossip.on_head(by_gossip);
    views_.stuck.on_followed();
    views_.stuck.forgive();
  }
  if (was == Pending::rewind && reaction == Reaction::go_on)
    report_.note(Action::rewound, absl::StrCat("the EL's head is ", eth::to_string(*result->labels.unsafe)), now);
  if (was == Pending::el_sync && reaction == Reaction::go_on) {
    if (auto note = views_.start.on_synced(views_.local.head().id())) report_.note(*std::move(note), now);
  }
  return carry_out(follow_up(reaction, *result, import_.value_or(ImportRun{}), views_, report_, now), now);
}

// ---------------------------------------------------------------- choices

std::optional<Status> Follower::obstacle() const {
  if (paused_) return Status{TowState::paused, ReasonCode::paused, *paused_};
  if (!local()) return Status{TowState::waiting_for_engine, ReasonCode::driver_unreachable, views_.local.lost()};
  if (authority_.superseded()) {
    return Status{TowState::waiting_for_engine, ReasonCode::superseded,
                  "another coordinator commands this engine-driver; this one stays out of its way"};
  }
  if (auto trouble = engine_trouble(local()->status, local()->reason))
    return Status{trouble->state, std::move(trouble->code), std::move(trouble->reason)};
  return std::nullopt;
}

std::optional<Effect> Follower::step(absl::Time now) {
  if (pending_ != Pending::none) return {};
  views_.retry.expire(now);
  if (paused_) views_.retry.stop_waiting();
  if (auto status = obstacle()) {
    report_.enter(*std::move(status), now);
    return {};
  }
  if (!views_.local.has_head()) return {};
  views_.gossip.expire(now);
  if (!views_.retry.gossip.waits(now)) views_.gossip.on_safe(views_.local.safe());
  if (auto started = not_by_blocks(now)) return *std::move(started);
  return carry_out(choose_target(views_, now), now);
}

std::optional<std::optional<Effect>> Follower::not_by_blocks(absl::Time now) {
  const auto goal = views_.goal();
  if (!goal || !remote() || views_.remote.replaying() || views_.retry.waits(now)) return std::nullopt;
  // A contradiction of our finalized chain is handled first.
  if (views_.remote.contradicts(views_.local.confirmed_finalized())) return std::nullopt;
  std::vector<Note> notes;
  SyncStart::Way way = views_.start.choose(views_.start_facts(*goal), notes, now);
  for (Note& n : notes) report_.note(std::move(n), now);
  if (std::holds_alternative<SyncStart::Follow>(way)) return std::nullopt;
  if (auto* rest = std::get_if<SyncStart::Rest>(&way)) {
    report_.enter(std::move(rest->status), now);
    return std::optional<Effect>{};
  }
  auto& b = std::get<SyncStart::Begin>(way);
  report_.enter(std::move(b.status), now);
  return std::optional<Effect>{StartElSync{begin(Pending::el_sync), command(), {b.target}}};
}

std::optional<Effect> Follower::carry_out(Choice c, absl::Time now) {
  for (Note& n : c.notes) report_.note(std::move(n), now);
  if (c.labels_checked) views_.local.on_labels_checked();
  if (c.reorg_depth) last_reorg_depth_ = *c.reorg_depth;
  return std::visit([&](const auto& target) { return act(target, now); }, c.target);
}

std::optional<Effect> Follower::carry_out(const Next& n, absl::Time now) {
  return std::visit([&](const auto& next) { return act(next, now); }, n);
}

std::optional<Effect> Follower::act(const Hold& h, absl::Time now) {
  if (h.status && !(h.unless_at_tip && state() == TowState::at_tip)) report_.enter(*h.status, now);
  return {};
}

std::optional<Effect> Follower::act(const Diverged& d, absl::Time now) {
  diverged(d.ours, d.theirs, views_, report_, now);
  return {};
}

std::optional<Effect> Follower::act(const RestoreLabels& r, absl::Time now) {
  report_.note(Action::forkchoice,
               absl::StrCat("the EL came back: finalized to ", eth::to_string(*r.forkchoice.finalized), " again"), now);
  return set_labels(r.forkchoice);
}

std::optional<Effect> Follower::act(const ImportRemote& i, absl::Time now) {
  return import({views_.local.head().id(), i.goal.id(), {}, {}}, false, now);
}

std::optional<Effect> Follower::act(const ImportGossip& i, absl::Time now) {
  return import({i.parent, i.tip.id(), {}, {}, contract::PayloadOrigin::gossip}, false, now);
}

std::optional<Effect> Follower::act(const CompareBlock& c, absl::Time now) {
  return act(Ask{search_.compare(c.block, views_.local.head().hash)}, now);
}

std::optional<Effect> Follower::act(const AskOurs& a, absl::Time now) {
  return act(Ask{search_.ask_ours(a.numbers, views_.local.head().hash)}, now);
}

std::optional<Effect> Follower::act(const MoveLabels& m, absl::Time now) {
  views_.gossip.on_turn();
  views_.stuck.on_followed();
  LabelChoice c = choose_labels(views_, m.goal, now);
  if (!c.wanted) views_.retry.progress();
  for (Note& n : c.before) report_.note(std::move(n), now);
  if (c.status) report_.enter(*std::move(c.status), now);
  if (c.after) report_.note(*std::move(c.after), now);
  return c.wanted ? set_labels(*c.wanted) : std::nullopt;
}

std::optional<Effect> Follower::act(const Demote& d, absl::Time now) {
  if (demote(d.why, views_, report_, now)) return step(now);
  return carry_out(choose_target(views_, now, false), now);
}

std::optional<Effect> Follower::act(const GoalIsInvalid&, absl::Time now) {
  wait_for_other_branch(views_, report_, now);
  return {};
}

std::optional<Effect> Follower::act(const ChooseAgain&, absl::Time now) { return step(now); }

std::optional<Effect> Follower::act(const Wait&, absl::Time) { return {}; }

std::optional<Effect> Follower::act(const Ask& a, absl::Time) {
  return Compare{begin(Pending::compare), a.numbers, remote() ? remote()->endpoint : "", search_.of_ours()};
}

std::optional<Effect> Follower::act(const Search& s, absl::Time now) {
  return carry_out(begin_search(search_, s.why, views_, report_, now), now);
}

std::optional<Effect> Follower::act(const ImportFound& i, absl::Time now) {
  if (i.reorg_depth) last_reorg_depth_ = *i.reorg_depth;
  return import(i.range, true, now);
}

std::optional<Effect> Follower::act(const RewindTo& r, absl::Time) {
  return Rewind{begin(Pending::rewind), command(), r.block};
}

// ---------------------------------------------------------------- commands

std::optional<Effect> Follower::import(const contract::ImportRange& range, bool searched, absl::Time now) {
  const Hash32 head = views_.local.head().hash;
  const bool goes_on = import_ && import_->range.tip == range.parent;
  if (range.parent.hash != head) views_.local.forget_compared();
  import_ = ImportRun{with_labels(range, views_, now), head, searched, goes_on};
  const bool derived = !import_->range.from_gossip() && views_.remote.derived_above(import_->range.parent.number);
  views_.hold.on_import(import_->switches() && !derived, head);
  tell_import(*import_, views_, report_, now);
  return Import{begin(Pending::import), command(), import_->range};
}

std::optional<Effect> Follower::set_labels(const contract::Forkchoice& f) {
  return SetForkchoice{begin(Pending::forkchoice), command(), f};
}

contract::CommandStamp Follower::command() const {
  return {Authority::kElector, term(), views_.local.head().hash,
          remote() ? remote()->chain_time : absl::InfinitePast()};
}

}  // namespace towline::coordinator
