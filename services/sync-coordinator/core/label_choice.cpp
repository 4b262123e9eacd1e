#include "services/sync-coordinator/core/label_choice.hpp"

#include <absl/strings/str_cat.h>

namespace towline::coordinator {
namespace {

/// The safe block of the vote. Without a quorum it counts only on a chain that signed gossip names.
std::optional<eth::BlockRef> voted_safe(const Views& v, absl::Time now) {
  const auto& heads = *v.remote.heads();
  if (heads.safe_hold != contract::Hold::quorum_lost) return heads.safe;
  const bool named = v.gossip.names_ours(v.local, now) && number_of(heads.safe) <= v.gossip.named().number;
  return named ? heads.safe : std::nullopt;
}

}  // namespace

contract::ImportRange with_labels(contract::ImportRange r, const Views& v, absl::Time now) {
  if (!v.remote.heads()) return r;
  const auto& have_safe = v.local.safe();
  const auto& have_finalized = v.local.finalized();
  const std::uint64_t confirmed_finalized = v.local.confirmed_finalized().number;
  const bool switches = r.parent.hash != v.local.head().hash;
  const auto safe = voted_safe(v, now);
  const auto& finalized = v.remote.heads()->finalized;
  if (finalized && finalized->number <= r.tip.number && finalized->number >= confirmed_finalized &&
      (!have_finalized || finalized->number > have_finalized->number)) {
    r.finalized = finalized->id();
  }
  if (safe && safe->number <= r.tip.number && safe->number >= confirmed_finalized &&
      (!have_safe || safe->number > have_safe->number || switches))
    r.safe = safe->id();
  // A finalized block is safe as well: a safe label that lags behind is raised with finalized.
  if (r.finalized) {
    const std::uint64_t safe_number = r.safe ? r.safe->number : number_of(have_safe);
    if (safe_number < r.finalized->number) r.safe = r.finalized;
  }
  return r;
}

std::optional<contract::Forkchoice> labels_to_restore(const LocalChain& local) {
  const auto& confirmed = local.state()->confirmed_finalized;
  if (!confirmed || confirmed->number > local.head().number || number_of(local.finalized()) >= confirmed->number)
    return std::nullopt;
  contract::Forkchoice f{local.head().id(), {}, confirmed};
  if (number_of(local.safe()) < confirmed->number) f.safe = confirmed;
  return f;
}

LabelChoice choose_labels(const Views& v, const eth::BlockRef& goal, absl::Time now) {
  LabelChoice c;
  const auto& heads = *v.remote.heads();
  const eth::BlockRef& head = v.local.head();
  if (const auto& have = v.local.safe(); heads.safe && have && heads.safe->number < have->number) {
    c.before.push_back({Action::hold_safe,
                        absl::StrCat("remote safe ", eth::to_string(*heads.safe), " is below ours ",
                                     eth::to_string(*have), " on the same chain"),
                        "hold_safe"});
  }
  if (const eth::BlockId confirmed_finalized = v.local.confirmed_finalized();
      heads.finalized && heads.finalized->number < confirmed_finalized.number) {
    c.before.push_back({Action::hold_finalized,
                        absl::StrCat("remote finalized ", eth::to_string(*heads.finalized), " is below ours ",
                                     eth::to_string(confirmed_finalized)),
                        "hold_finalized"});
  }
  const bool at_goal = goal.hash == head.hash;
  if (at_goal) c.status = {TowState::at_tip, ReasonCode::at_tip, "at the head of the source"};
  const contract::ImportRange wanted = with_labels({head.id(), head.id(), {}, {}}, v, now);
  if (wanted.safe || wanted.finalized) {
    c.wanted = contract::Forkchoice{head.id(), wanted.safe, wanted.finalized};
    c.before.push_back(
        {Action::forkchoice,
         absl::StrCat("labels to", wanted.safe ? absl::StrCat(" safe ", eth::to_string(*wanted.safe)) : "",
                      wanted.finalized ? absl::StrCat(" finalized ", eth::to_string(*wanted.finalized)) : ""),
         "forkchoice"});
  } else if (!at_goal && v.gossip.head_from_gossip()) {
    c.status = {TowState::at_tip, ReasonCode::at_tip, "at the head of the p2p network"};
  } else if (!at_goal) {
    c.status = {TowState::at_tip, ReasonCode::ahead_of_source,
                absl::StrCat("the source's head ", eth::to_string(goal), " is an ancestor of ours")};
    c.after = Note{Action::no_op, c.status->reason, "no_op"};
  }
  return c;
}

}  // namespace towline::coordinator
