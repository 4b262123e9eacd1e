// The state of a tow, its reason, and since when. Lists all states and all reason codes of the coordinator itself;
// docs/errors.md has the same list, and a test compares the two. Pure.
#pragma once
#include <absl/strings/string_view.h>
#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

namespace towline::coordinator {

enum class TowState {
  starting,
  importing,
  at_tip,
  walking_back,
  waiting_for_source,
  waiting_for_engine,
  diverged,
  needs_operator,
  unknown_rules,
  paused,
  el_syncing,
};
const char* name(TowState s);
std::optional<TowState> tow_state_of(absl::string_view name);

/// A stable identifier for programs.
enum class ReasonCode : std::uint8_t {
  starting,
  importing,
  at_tip,
  ahead_of_source,
  gossip_only,
  behind,
  chain_halted,
  source_stale,
  source_silent,
  safe_stalled,
  finalized_stalled,
  quorum_lost,
  sources_disagree,
  labels_unset,
  labels_stuck,
  engine_not_valid,
  hold_branch,
  walking_back,
  paused,
  no_heads,
  no_target,
  source_replaying,
  source_unavailable,
  source_below_finalized,
  source_other_branch,
  el_refuses_majority,
  invalid_block,
  driver_unreachable,
  engine_unreachable,
  engine_unavailable,
  engine_auth_failed,
  engine_missing_state,
  superseded,
  branch_too_deep,
  rewind_failed,
  engine_is_ordinary_rpc,
  engine_driven_elsewhere,
  engine_contradicts_finalized,
  state_not_saved,
  el_syncing,
  el_sync_stalled,
  waiting_for_snapshot,
  engine_wrong_chain,
  unsupported,
  diverged,
  unknown_rules,
};
absl::string_view text(ReasonCode c);

/// A reason code of the coordinator, or one of remote-fetcher's codes (services/remote-fetcher/core/problem), which
/// arrives as text and is passed on unchanged.
class Code {
 public:
  Code(ReasonCode ours) : code_{ours} {}
  static Code of_source(absl::string_view text);

  absl::string_view text() const;
  /// A code received as text equals our own code of the same name.
  bool operator==(const Code&) const = default;

 private:
  explicit Code(absl::string_view theirs) : code_{std::string{theirs}} {}
  std::variant<ReasonCode, std::string> code_;
};

struct Status {
  TowState state = TowState::starting;
  Code code = ReasonCode::starting;
  /// One line for display.
  std::string reason;
  bool operator==(const Status&) const = default;
};

class TowStatus {
 public:
  void enter(Status s, absl::Time now) {
    if (s.state != status_.state) since_ = now;
    status_ = std::move(s);
  }
  TowState state() const { return status_.state; }
  const Code& code() const { return status_.code; }
  const std::string& reason() const { return status_.reason; }
  /// When the state was entered.
  absl::Time since() const { return since_; }

 private:
  Status status_{TowState::starting, ReasonCode::starting, "waiting for the first view of both sides"};
  absl::Time since_ = absl::InfinitePast();
};

}  // namespace towline::coordinator
