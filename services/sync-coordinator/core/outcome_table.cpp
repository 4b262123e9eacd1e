#include "services/sync-coordinator/core/outcome_table.hpp"

#include <algorithm>
#include <array>

namespace towline::coordinator {
namespace {

using contract::Outcome;
using contract::Refusal;
using enum Reaction;

struct Row {
  Ending ending;
  /// One for each of kOrigins, in its order.
  std::array<Reaction, std::size(kOrigins)> reactions;
  /// The action to log after an import; noted() has the exceptions for other commands.
  std::optional<Action> noted;
};

const Row kRows[] = {
    {Outcome::done, {go_on, go_on, go_on, go_on, go_on}, {}},
    {Outcome::missing_state, {from_new_head, from_new_head, rewind_by_hand, retry, el_syncs}, Action::missing_state},
    {Outcome::invalid, {other_branch, drop_block, rewind_by_hand, retry, retry}, Action::invalid_block},
    {Outcome::not_applied, {stuck, stuck, rewind_by_hand, retry, retry}, Action::not_applied},
    {Outcome::contradicts_finalized,
     {contradicted, diverged, rewind_by_hand, retry, retry},
     Action::contradicts_finalized},
    {Outcome::engine_unavailable,
     {wait_for_engine, wait_for_engine, rewind_by_hand, retry, wait_for_engine},
     Action::engine_unavailable},
    {Outcome::source_unavailable,
     {other_source, wait_for_gossip, rewind_by_hand, retry, other_source},
     Action::source_unavailable},
    {Outcome::source_reorged, {other_way, forget_blocks, rewind_by_hand, retry, retry}, Action::source_reorged},
    {Outcome::unsupported, {upgrade, upgrade, rewind_by_hand, retry, upgrade}, Action::unsupported},
    {Outcome::cancelled, {retry, retry, rewind_by_hand, retry, retry}, Action::cancelled},
    {Outcome::refused, {retry, retry, retry, retry, retry}, Action::refused},
    {Refusal::stale_term, {give_way, give_way, give_way, give_way, give_way}, {}},
    {Refusal::other_authority, {give_way, give_way, give_way, give_way, give_way}, {}},
    {Refusal::impossible_term, {retry, retry, retry, retry, retry}, Action::refused},
    {Refusal::head_moved, {retry, retry, retry, retry, retry}, Action::refused},
    {Refusal::not_canonical, {search, search, search, search, search}, Action::refused},
    {Refusal::label_order, {retry, retry, retry, retry, retry}, Action::refused},
    {Refusal::below_finalized, {retry, retry, retry, retry, retry}, Action::refused},
    {Refusal::cannot_rewind, {retry, retry, retry, retry, retry}, Action::refused},
    {Refusal::not_final, {retry, retry, retry, retry, retry}, Action::refused},
};

const Row& row_of(const Ending& e) {
  return *std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& r) { return r.ending == e; });
}

}  // namespace

Ending ending_of(const contract::CommandResult& r) {
  if (r.outcome == Outcome::refused && r.refusal) return *r.refusal;
  return r.outcome;
}

std::string name(const Ending& e) {
  return std::visit([](auto x) { return std::string{contract::name(x)}; }, e);
}

const char* name(Reaction r) {
  switch (r) {
    case go_on: return "go_on";
    case retry: return "retry";
    case give_way: return "give_way";
    case search: return "search";
    case other_way: return "other_way";
    case forget_blocks: return "forget_blocks";
    case from_new_head: return "from_new_head";
    case stuck: return "stuck";
    case other_branch: return "other_branch";
    case drop_block: return "drop_block";
    case contradicted: return "contradicted";
    case diverged: return "diverged";
    case wait_for_engine: return "wait_for_engine";
    case other_source: return "other_source";
    case wait_for_gossip: return "wait_for_gossip";
    case upgrade: return "upgrade";
    case el_syncs: return "el_syncs";
    case rewind_by_hand: return "rewind_by_hand";
  }
  return "?";
}

Reaction react(const Ending& e, Origin o) { return row_of(e).reactions[static_cast<std::size_t>(o)]; }

std::optional<Action> noted(const Ending& e, Origin o) {
  const Row& r = row_of(e);
  if (!r.noted || r.noted == Action::refused) return r.noted;
  if (o == Origin::rewind) return Action::rewind_failed;
  if (o == Origin::forkchoice) return Action::forkchoice_failed;
  if (o == Origin::el_sync && e == Ending{contract::Outcome::missing_state}) return std::nullopt;
  return r.noted;
}

std::vector<Ending> endings() {
  std::vector<Ending> out;
  for (const Row& r : kRows) out.push_back(r.ending);
  return out;
}

}  // namespace towline::coordinator
