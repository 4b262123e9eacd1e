#include "services/sync-coordinator/core/tow_status.hpp"

#include <algorithm>
#include <array>

namespace towline::coordinator {
namespace {

struct Text {
  ReasonCode code;
  absl::string_view text;
};

constexpr std::array kTexts = {
    Text{ReasonCode::starting, "starting"},
    Text{ReasonCode::importing, "importing"},
    Text{ReasonCode::at_tip, "at_tip"},
    Text{ReasonCode::ahead_of_source, "ahead_of_source"},
    Text{ReasonCode::gossip_only, "gossip_only"},
    Text{ReasonCode::behind, "behind"},
    Text{ReasonCode::chain_halted, "chain_halted"},
    Text{ReasonCode::source_stale, "source_stale"},
    Text{ReasonCode::source_silent, "source_silent"},
    Text{ReasonCode::safe_stalled, "safe_stalled"},
    Text{ReasonCode::finalized_stalled, "finalized_stalled"},
    Text{ReasonCode::quorum_lost, "quorum_lost"},
    Text{ReasonCode::sources_disagree, "sources_disagree"},
    Text{ReasonCode::labels_unset, "labels_unset"},
    Text{ReasonCode::labels_stuck, "labels_stuck"},
    Text{ReasonCode::engine_not_valid, "engine_not_valid"},
    Text{ReasonCode::hold_branch, "hold_branch"},
    Text{ReasonCode::walking_back, "walking_back"},
    Text{ReasonCode::paused, "paused"},
    Text{ReasonCode::no_heads, "no_heads"},
    Text{ReasonCode::no_target, "no_target"},
    Text{ReasonCode::source_replaying, "source_replaying"},
    Text{ReasonCode::source_unavailable, "source_unavailable"},
    Text{ReasonCode::source_below_finalized, "source_below_finalized"},
    Text{ReasonCode::source_other_branch, "source_other_branch"},
    Text{ReasonCode::el_refuses_majority, "el_refuses_majority"},
    Text{ReasonCode::invalid_block, "invalid_block"},
    Text{ReasonCode::driver_unreachable, "driver_unreachable"},
    Text{ReasonCode::engine_unreachable, "engine_unreachable"},
    Text{ReasonCode::engine_unavailable, "engine_unavailable"},
    Text{ReasonCode::engine_auth_failed, "engine_auth_failed"},
    Text{ReasonCode::engine_missing_state, "engine_missing_state"},
    Text{ReasonCode::superseded, "superseded"},
    Text{ReasonCode::branch_too_deep, "branch_too_deep"},
    Text{ReasonCode::rewind_failed, "rewind_failed"},
    Text{ReasonCode::engine_is_ordinary_rpc, "engine_is_ordinary_rpc"},
    Text{ReasonCode::engine_driven_elsewhere, "engine_driven_elsewhere"},
    Text{ReasonCode::engine_contradicts_finalized, "engine_contradicts_finalized"},
    Text{ReasonCode::state_not_saved, "state_not_saved"},
    Text{ReasonCode::el_syncing, "el_syncing"},
    Text{ReasonCode::el_sync_stalled, "el_sync_stalled"},
    Text{ReasonCode::waiting_for_snapshot, "waiting_for_snapshot"},
    Text{ReasonCode::engine_wrong_chain, "engine_wrong_chain"},
    Text{ReasonCode::unsupported, "unsupported"},
    Text{ReasonCode::diverged, "diverged"},
    Text{ReasonCode::unknown_rules, "unknown_rules"},
};

constexpr bool in_order() {
  for (std::size_t i = 0; i < kTexts.size(); ++i) {
    if (static_cast<std::size_t>(kTexts[i].code) != i) return false;
  }
  return kTexts.size() == static_cast<std::size_t>(ReasonCode::unknown_rules) + 1;
}
static_assert(in_order(), "one line for each code, in the order of the enum");

/// The name of a value behind the last state.
constexpr absl::string_view kNoState = "?";

}  // namespace

const char* name(TowState s) {
  switch (s) {
    case TowState::starting: return "STARTING";
    case TowState::importing: return "IMPORTING";
    case TowState::at_tip: return "AT_TIP";
    case TowState::walking_back: return "WALKING_BACK";
    case TowState::waiting_for_source: return "WAITING_FOR_SOURCE";
    case TowState::waiting_for_engine: return "WAITING_FOR_ENGINE";
    case TowState::diverged: return "DIVERGED";
    case TowState::needs_operator: return "NEEDS_OPERATOR";
    case TowState::unknown_rules: return "UNKNOWN_RULES";
    case TowState::paused: return "PAUSED";
    case TowState::el_syncing: return "EL_SYNCING";
  }
  return kNoState.data();
}

std::optional<TowState> tow_state_of(absl::string_view known) {
  for (int i = 0;; ++i) {
    const auto state = static_cast<TowState>(i);
    if (name(state) == kNoState) return std::nullopt;
    if (name(state) == known) return state;
  }
}

absl::string_view text(ReasonCode c) { return kTexts[static_cast<std::size_t>(c)].text; }

Code Code::of_source(absl::string_view text) {
  const auto* ours = std::find_if(kTexts.begin(), kTexts.end(), [&](const Text& t) { return t.text == text; });
  return ours == kTexts.end() ? Code{text} : Code{ours->code};
}

absl::string_view Code::text() const {
  const auto* ours = std::get_if<ReasonCode>(&code_);
  return ours != nullptr ? coordinator::text(*ours) : absl::string_view{std::get<std::string>(code_)};
}

}  // namespace towline::coordinator
