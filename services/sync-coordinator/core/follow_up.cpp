#include "services/sync-coordinator/core/follow_up.hpp"

#include <absl/strings/str_cat.h>

namespace towline::coordinator {
namespace {

/// An import of so few blocks at the tip is not reported as a catch-up.
constexpr std::uint64_t kTipBlocks = 8;

/// The EL does not accept blocks on `parent`: wait, rewind the EL, or ask for an operator.
Next cannot_go_on(const ImportRun& run, const std::string& why, Views& v, Report& report, absl::Time now) {
  Stuck::Answer a = v.stuck.on_refused(run.range.parent, run.switches(), why, v.local, v.remote, now);
  if (a.rewind) {
    report.note(Action::rewind, *a.rewind, now);
    return RewindTo{run.range.parent};
  }
  report.enter(std::move(a.status), now);
  v.retry.engine_failed(now);
  return Wait{};
}

Next after_invalid(const contract::CommandResult& r, const ImportRun& run, Views& v, Report& report, absl::Time now) {
  const eth::BlockId bad = r.block.value_or(run.range.tip);
  v.stuck.on_invalid(run.range.tip.hash, bad);
  if (run.range.from_gossip()) v.gossip.on_invalid(bad.hash);
  else if (demote(r.reason, v, report, now)) return ChooseAgain{};
  if (!run.range.from_gossip() && v.remote.several_lead()) {
    // Several sources of the majority branch can lead, and all lead to this block. No other branch is followed: an
    // outdated EL would otherwise follow a lying source.
    v.stuck.stay_at(run.range.parent, now);
    report.enter(TowState::needs_operator, ReasonCode::el_refuses_majority,
                 absl::StrCat("the EL refuses what most sources have: ", r.reason), now);
  } else {
    report.enter(TowState::waiting_for_source, ReasonCode::invalid_block, r.reason, now);
  }
  v.retry.engine_failed(now);
  return Wait{};
}

Next after_source_reorged(const contract::CommandResult& r, const ImportRun& run, Views& v, Report& report,
                          absl::Time now) {
  if (!run.searched) return Search{"the target is not a descendant of our head"};
  // The source may know no way to a gossiped block.
  const bool gap = v.gossip.on_gap_failed(run.range.tip.hash, v.local, v.remote, now);
  if (!gap && demote(r.reason, v, report, now)) return ChooseAgain{};
  // The search result no longer holds: the source is changing branches, or its backends disagree. Its next snapshot may
  // settle it.
  v.retry.source_failed(now);
  return Wait{};
}

Next after_source_unavailable(const contract::CommandResult& r, bool moved, Views& v, Report& report, absl::Time now) {
  const auto& heads = v.remote.heads();
  const bool known_rules = heads && heads->unknown_rules.empty();
  if (known_rules && demote(r.reason, v, report, now)) return ChooseAgain{};
  if (known_rules) wait_for_blocks(r.reason, v, report, now);
  if (moved) v.retry.progress();
  v.retry.source_failed(now);
  return Wait{};
}

}  // namespace

Next follow_up(Reaction reaction, const contract::CommandResult& r, const ImportRun& run, Views& v, Report& report,
               absl::Time now) {
  const bool moved = r.labels.unsafe && r.labels.unsafe->hash != run.head_before;
  switch (reaction) {
    case Reaction::go_on: v.retry.progress(); return ChooseAgain{};
    case Reaction::give_way: return ChooseAgain{};
    case Reaction::search:
      v.retry.engine_failed(now);
      if (v.local.has_head() && v.remote.heads()) return Search{r.reason};
      return Wait{};
    case Reaction::other_way: return after_source_reorged(r, run, v, report, now);
    case Reaction::forget_blocks:
      // p2p-gossip evicted the blocks, or was restarted.
      v.gossip.on_evicted(moved ? r.labels.unsafe->id() : run.range.parent, run.range.tip.hash);
      return ChooseAgain{};
    case Reaction::from_new_head:
      // An empty EL may need a sync of its own first.
      if (!moved && v.local.has_head() && v.local.head().number <= v.local.state()->genesis.number &&
          v.start.on_not_executed(v.local.state()->engine_session))
        return ChooseAgain{};
      if (!moved) return cannot_go_on(run, r.reason, v, report, now);
      // The EL has the state of the blocks that it imported.
      v.retry.progress();
      return ChooseAgain{};
    case Reaction::stuck:
      if (!moved && r.labels.unsafe) return cannot_go_on(run, r.reason, v, report, now);
      break;
    case Reaction::other_branch:
    case Reaction::drop_block: return after_invalid(r, run, v, report, now);
    case Reaction::contradicted: return contradicted(v.local.confirmed_finalized(), r.block, v, report, now);
    case Reaction::diverged: diverged(v.local.confirmed_finalized(), r.block, v, report, now); return Wait{};
    case Reaction::wait_for_engine:
      report.enter(TowState::waiting_for_engine, ReasonCode::engine_unavailable, r.reason, now);
      break;
    case Reaction::other_source: return after_source_unavailable(r, moved, v, report, now);
    case Reaction::wait_for_gossip:
      // p2p-gossip is unavailable, which says nothing about the blocks.
      if (moved) v.retry.progress();
      v.retry.gossip.failed(now);
      return ChooseAgain{};
    case Reaction::upgrade:
      report.enter(
          TowState::needs_operator, ReasonCode::unsupported,
          absl::StrCat("the EL does not take what this chain's forks ask for (fork times in the rollup config, "
                       "or an old EL): ",
                       r.reason),
          now);
      v.retry.engine.at_least(10);
      break;
    case Reaction::rewind_by_hand:
      report.enter(TowState::needs_operator, ReasonCode::rewind_failed,
                   absl::StrCat("the EL could not be rewound: ", r.reason), now);
      break;
    case Reaction::el_syncs: return Wait{};
    case Reaction::retry: break;
  }
  v.retry.engine_failed(now);
  return Wait{};
}

Next contradicted(const eth::BlockId& ours, const std::optional<eth::BlockId>& theirs, Views& v, Report& report,
                  absl::Time now) {
  const auto& heads = *v.remote.heads();
  if (heads.groups <= 1 || heads.contradicts_finalized) {
    diverged(ours, theirs, v, report, now);
    return Wait{};
  }
  // The majority of several sources does not contradict us, only the leading source does.
  const std::string why = absl::StrCat(heads.endpoint, " has another block where ", eth::to_string(ours), " is final");
  if (demote(why, v, report, now)) return ChooseAgain{};
  report.enter(TowState::waiting_for_source, ReasonCode::source_other_branch, why, now);
  v.retry.source_failed(now);
  return Wait{};
}

void diverged(const eth::BlockId& ours, const std::optional<eth::BlockId>& theirs, Views& v, Report& report,
              absl::Time now) {
  v.stuck.on_diverged(theirs);
  const std::string why =
      absl::StrCat("the source contradicts a block that is final here: ours is ", eth::to_string(ours),
                   theirs ? absl::StrCat(", theirs ", eth::to_string(*theirs)) : "",
                   ". Nothing is followed until the source heals; see `towline recover`");
  report.enter(TowState::diverged, ReasonCode::diverged, why, now);
  report.note(Action::diverged, why, now);
  v.retry.engine.at_least(3);
  v.retry.engine_failed(now);
}

bool demote(const std::string& why, Views& v, Report& report, absl::Time now) {
  auto note = v.remote.demote(why, v.gossip.blocks(), now);
  if (!note) return false;
  report.note(*std::move(note), now);
  return true;
}

bool needs_operator(const Views& v, const Report& report) {
  return report.status.state() == TowState::needs_operator && (v.stuck.at_a_block() || v.start.tries());
}

void wait_for_blocks(const std::string& why, const Views& v, Report& report, absl::Time now) {
  const auto& t = v.remote.heads()->blocks_trouble;
  report.enter(TowState::waiting_for_source, t ? Code::of_source(t->code) : ReasonCode::source_unavailable,
               t ? t->why : why, now);
}

void wait_for_other_branch(Views& v, Report& report, absl::Time now) {
  if (!needs_operator(v, report)) {
    report.enter(TowState::waiting_for_source, ReasonCode::invalid_block,
                 absl::StrCat("block ", eth::to_string(*v.stuck.invalid_block()),
                              " is INVALID, or kept from the EL; waiting for the source to take another branch"),
                 now);
  }
  v.stuck.forgive();
  v.retry.engine.at_least(5);
  v.retry.engine_failed(now);
}

void tell_import(const ImportRun& run, const Views& v, Report& report, absl::Time now) {
  const TowState state = report.status.state();
  const auto& heads = v.remote.heads();
  const bool few = run.blocks() <= kTipBlocks, gossip = run.range.from_gossip();
  Note note{Action::import,
            absl::StrCat(run.blocks(), " block(s) from ", eth::to_string(run.range.parent), " to ",
                         eth::to_string(run.range.tip), gossip ? ", which the p2p network brought" : ""),
            {}};
  // A few blocks at the tip are routine: they share one log entry.
  if (state == TowState::at_tip && few && !run.switches())
    note.fold = gossip ? "import of gossip" : "import of the source";
  if (v.start.tries()) note.fold = "blocks for an EL that executed none";
  report.note(std::move(note), now);
  if (heads && !heads->unknown_rules.empty()) {
    report.enter(TowState::unknown_rules, ReasonCode::unknown_rules,
                 absl::StrCat("every source fails the same check, is there a fork that this version does not know? ",
                              heads->unknown_rules),
                 now);
  } else if (heads && heads->blocks_trouble && state == TowState::waiting_for_source) {
    // An earlier import failed for this reason, which stays on display until blocks arrive.
  } else if (few &&
             ((state == TowState::importing && run.goes_on) || (state == TowState::walking_back && !run.switches()))) {
    // The source may be slow, so that a few new blocks exist after each import. Or its replicas lag: one replica does
    // not have the head that another shows, and the search found nothing to walk back.
    report.enter(TowState::at_tip, ReasonCode::at_tip,
                 absl::StrCat("following the source, ", run.blocks(), " block(s) behind"), now);
  } else if (!needs_operator(v, report) && (state != TowState::at_tip || !few)) {
    report.enter(TowState::importing, ReasonCode::importing,
                 absl::StrCat("importing ", run.blocks(), " block(s) to ", eth::to_string(run.range.tip)), now);
  }
}

void tell_new_heads(const ImportRun& run, bool runs, const std::optional<contract::SourceTrouble>& before,
                    const Views& v, Report& report, absl::Time now) {
  if (report.status.state() != TowState::waiting_for_source || run.range.from_gossip()) return;
  const bool trouble = v.remote.heads()->blocks_trouble.has_value();
  const Code shown = report.status.code();
  if (runs && before && !trouble) {
    report.enter(TowState::importing, ReasonCode::importing,
                 absl::StrCat("importing to ", eth::to_string(run.range.tip)), now);
  } else if (trouble &&
             (shown == ReasonCode::source_unavailable || (before && shown == Code::of_source(before->code)))) {
    // The snapshot that names the source's trouble may arrive after the import has already failed for that trouble.
    wait_for_blocks({}, v, report, now);
  }
}

void tell_progress(const ImportRun& run, const contract::EngineState& s, const Views& v, Report& report,
                   absl::Time now) {
  if (needs_operator(v, report) && s.import && s.import->blocks > 0 && s.labels.unsafe &&
      s.labels.unsafe->hash != run.head_before)
    report.enter(TowState::importing, ReasonCode::importing,
                 absl::StrCat("importing to ", eth::to_string(s.import->tip)), now);
}

}  // namespace towline::coordinator
