#include "services/sync-coordinator/core/search_run.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "services/sync-coordinator/core/target_choice.hpp"

namespace towline::coordinator {
namespace {

using Result = AncestorSearch::Result;

Next found(const AncestorSearch& s, const eth::BlockRef& goal, Views& v, Report& report, absl::Time now) {
  v.stuck.on_common_block();
  const BranchChoice choice = choose_branch(v, goal, s.ancestor(), now);
  if (std::holds_alternative<Behind>(choice)) {
    // The target moved during the search, or the chain of the leading source does not contain the head that it names.
    if (demote("its chain has another block than the head that it names", v, report, now)) return ChooseAgain{};
    v.retry.engine_failed(now);
    return Wait{};
  }
  if (const auto* hold = std::get_if<HoldBranch>(&choice)) {
    report.note(Action::hold_branch, hold->why, now);
    report.enter(TowState::at_tip, ReasonCode::hold_branch, hold->why, now);
    if (hold->until) v.retry.source.wait_until(*hold->until);
    else v.retry.source_failed(now);
    return Wait{};
  }
  const auto depth = std::get<Switch>(choice).depth;
  if (depth) {
    report.note(
        Action::reorg,
        absl::StrCat("the remote left our chain after ", eth::to_string(s.ancestor()), ", ", *depth, " below our head ",
                     eth::to_string(v.local.head()), "; found in ", s.rounds(), " round(s)"),
        now);
  }
  return ImportFound{{s.ancestor(), goal.id(), {}, {}}, depth};
}

Next compared(const AncestorSearch& s, Result r, const std::vector<eth::BlockRef>& local, Views& v) {
  const eth::BlockRef& asked = s.compared();
  for (const eth::BlockRef& b : local)
    if (b.number == asked.number) v.local.on_compared(b);
  if (r == Result::same) return ChooseAgain{};
  return Search{absl::StrCat("the remote has ", eth::to_string(asked), " at a height where we have another block")};
}

}  // namespace

Next begin_search(AncestorSearch& s, const std::string& why, Views& v, Report& report, absl::Time now) {
  const auto goal = v.goal();
  const eth::BlockRef& head = v.local.head();
  const eth::BlockId floor = v.local.search_floor();
  const std::uint64_t high = std::min(head.number, goal ? goal->number : head.number);
  report.note(Action::walkback, why, now);
  if (high < floor.number) {
    // Blocks below the finalized one are never replaced. A source that merely lags recovers by itself.
    if (demote("its head is below our finalized block", v, report, now)) return ChooseAgain{};
    report.enter(TowState::waiting_for_source, ReasonCode::source_below_finalized,
                 absl::StrCat("the source's head is below our finalized ", eth::to_string(floor)), now);
    v.retry.engine_failed(now);
    return Wait{};
  }
  if (!needs_operator(v, report)) report.enter(TowState::walking_back, ReasonCode::walking_back, why, now);
  return Ask{s.search(floor, high, head.hash)};
}

Next after_answers(AncestorSearch& s, const Answer& remote, const Answer& local, Views& v, Report& report,
                   absl::Time now) {
  // A question about our own chain does not need the source.
  const bool of_ours = s.of_ours();
  const auto goal = v.goal();
  if (!v.local.has_head() || (!of_ours && !goal)) {
    s.stop();
    return ChooseAgain{};
  }
  if (!local.ok() || (!of_ours && !remote.ok())) {
    s.stop();
    const bool of_source = local.ok();
    report.enter(of_source ? TowState::waiting_for_source : TowState::waiting_for_engine,
                 of_source ? ReasonCode::source_unavailable : ReasonCode::engine_unavailable,
                 absl::StrCat("headers cannot be compared: ", (of_source ? remote.status() : local.status()).message()),
                 now);
    if (of_source) v.retry.source_failed(now);
    else v.retry.engine_failed(now);
    return Wait{};
  }
  const eth::BlockRef& head = v.local.head();
  const AncestorSearch::Blocks none;
  const Result r =
      s.on_answers(of_ours ? none : *remote, *local, head.hash, std::min(head.number, eth::number_of(goal)));
  switch (r) {
    case Result::outdated: s.stop(); return ChooseAgain{};
    case Result::ours:
      if (!v.local.on_asked(*local)) v.retry.engine_failed(now);
      return ChooseAgain{};
    case Result::same:
    case Result::differs: return compared(s, r, *local, v);
    case Result::ask: return Ask{s.numbers()};
    case Result::stuck:
      report.note(Action::walkback_again, "the answers of the two sides do not fit together", now);
      v.retry.source_failed(now);
      return Wait{};
    case Result::diverged: return contradicted(s.ancestor(), s.theirs(), v, report, now);
    case Result::grown: return Search{"the target has grown during the search"};
    case Result::found: return found(s, *goal, v, report, now);
  }
  return Wait{};
}

}  // namespace towline::coordinator
