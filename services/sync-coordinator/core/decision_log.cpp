#include "services/sync-coordinator/core/decision_log.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace towline::coordinator {
namespace {

/// A decision may be folded into any of this many last entries, so that alternating decisions are folded as well.
constexpr std::size_t kFoldWithin = 8;

constexpr bool in_order() {
  for (std::size_t i = 0; i < std::size(kActions); ++i) {
    if (static_cast<std::size_t>(kActions[i].action) != i) return false;
  }
  return std::size(kActions) == static_cast<std::size_t>(Action::unknown);
}
static_assert(in_order(), "one line for each action, in the order of the enum");

}  // namespace

absl::string_view text(Action a) {
  return a == Action::unknown ? "unknown" : kActions[static_cast<std::size_t>(a)].text;
}

Action action_of(absl::string_view text) {
  for (const ActionText& a : kActions)
    if (a.text == text) return a.action;
  return Action::unknown;
}

void DecisionLog::add(Note n, TowState state, absl::Time now) {
  ++decided_;
  if (n.fold.empty()) n.fold = absl::StrCat(text(n.action), ": ", n.reason);
  for (std::size_t back = 1; back <= std::min(kFoldWithin, decisions_.size()); ++back) {
    Decision& d = decisions_[decisions_.size() - back];
    if (d.fold != n.fold) continue;
    ++d.repeated;
    d.reason = std::move(n.reason);
    d.time = now;
    return;
  }
  decisions_.push_back({++last_sequence_, now, n.action, std::move(n.reason), state, 0, std::move(n.fold)});
  if (decisions_.size() > kMaxDecisions) decisions_.pop_front();
}

void DecisionLog::restore(std::deque<Decision> decisions) {
  decisions_ = std::move(decisions);
  while (decisions_.size() > kMaxDecisions) decisions_.pop_front();
  last_sequence_ = decisions_.empty() ? 0 : decisions_.back().sequence;
}

}  // namespace towline::coordinator
