// The last decisions of a follower. A repeated decision increments a counter instead of adding an entry. Pure.
#pragma once
#include <absl/strings/string_view.h>
#include <absl/time/time.h>

#include <cstdint>
#include <deque>
#include <string>

#include "services/sync-coordinator/core/tow_status.hpp"

namespace towline::coordinator {

enum class Action : std::uint8_t {
  cancelled,
  command_failed,
  contradicts_finalized,
  demoted,
  diverged,
  el_sync_stalled,
  el_synced,
  engine_unavailable,
  forkchoice,
  forkchoice_failed,
  hold,
  hold_branch,
  hold_finalized,
  hold_safe,
  import,
  invalid_block,
  missing_state,
  no_op,
  not_applied,
  pause,
  refused,
  reorg,
  resume,
  rewind,
  rewind_failed,
  rewound,
  source_reorged,
  source_unavailable,
  sync_start,
  take_over,
  unsupported,
  walkback,
  walkback_again,
  unknown,  // read from a file that another version wrote
};
struct ActionText {
  Action action;
  absl::string_view text;
};
/// All actions, in the order of the enum.
inline constexpr ActionText kActions[] = {
    {Action::cancelled, "cancelled"},
    {Action::command_failed, "command_failed"},
    {Action::contradicts_finalized, "contradicts_finalized"},
    {Action::demoted, "demoted"},
    {Action::diverged, "diverged"},
    {Action::el_sync_stalled, "el_sync_stalled"},
    {Action::el_synced, "el_synced"},
    {Action::engine_unavailable, "engine_unavailable"},
    {Action::forkchoice, "forkchoice"},
    {Action::forkchoice_failed, "forkchoice_failed"},
    {Action::hold, "hold"},
    {Action::hold_branch, "hold_branch"},
    {Action::hold_finalized, "hold_finalized"},
    {Action::hold_safe, "hold_safe"},
    {Action::import, "import"},
    {Action::invalid_block, "invalid_block"},
    {Action::missing_state, "missing_state"},
    {Action::no_op, "no_op"},
    {Action::not_applied, "not_applied"},
    {Action::pause, "pause"},
    {Action::refused, "refused"},
    {Action::reorg, "reorg"},
    {Action::resume, "resume"},
    {Action::rewind, "rewind"},
    {Action::rewind_failed, "rewind_failed"},
    {Action::rewound, "rewound"},
    {Action::source_reorged, "source_reorged"},
    {Action::source_unavailable, "source_unavailable"},
    {Action::sync_start, "sync_start"},
    {Action::take_over, "take_over"},
    {Action::unsupported, "unsupported"},
    {Action::walkback, "walkback"},
    {Action::walkback_again, "walkback_again"},
};
absl::string_view text(Action a);
/// `unknown` for a text that names no action.
Action action_of(absl::string_view text);

struct Decision {
  std::uint64_t sequence = 0;
  absl::Time time;
  Action action = Action::unknown;
  std::string reason;
  TowState state = TowState::starting;
  std::uint64_t repeated = 0;
  /// Decisions with an equal `fold` count as the same decision, even if their reasons differ in numbers.
  std::string fold;
};

/// A decision to be logged.
struct Note {
  Action action;
  std::string reason;
  /// The key under which notes are folded into one entry, which keeps the latest reason; for notes that come with every
  /// block at the tip. Empty: only notes with the same reason are folded.
  std::string fold;
};

class DecisionLog {
 public:
  static constexpr std::size_t kMaxDecisions = 1024;

  void add(Note n, TowState state, absl::Time now);
  /// Loads the decisions of an earlier process.
  void restore(std::deque<Decision> decisions);

  const std::deque<Decision>& decisions() const { return decisions_; }
  /// Increases with every decision, folded or not.
  std::uint64_t decided() const { return decided_; }

 private:
  std::deque<Decision> decisions_;
  std::uint64_t last_sequence_ = 0;
  std::uint64_t decided_ = 0;
};

}  // namespace towline::coordinator
