// What the driver tells of itself and its EL. Pure values.
#pragma once
#include <absl/time/time.h>

#include <optional>
#include <string>

#include "services/engine-driver/core/gate.hpp"
#include "services/engine-driver/core/refusal.hpp"

namespace towline::driver {

enum class EngineStatus {
  starting,
  ready,
  unreachable,
  auth_failed,
  wrong_chain,
  syncing,
  invalid,
  not_an_engine,     // an ordinary RPC: no engine_ methods
  driven_elsewhere,  // its head moves without us: another consensus client drives it
  beside_fence,      // it has another block than the fence at that height
  state_not_saved,   // nothing of the EL: our own disk
};

/// Not: another chain's EL, an ordinary RPC, one that somebody else drives, or while our own state is not safe.
bool may_be_written_to(EngineStatus s);

struct ImportProgress {
  eth::BlockId imported;
  eth::BlockId tip;
  std::uint64_t blocks = 0;
  std::uint64_t transactions = 0;
  std::uint64_t gas_used = 0;
  std::uint64_t bytes = 0;
  double elapsed_s = 0;
  double blocks_per_s = 0;
  double mgas_per_s = 0;
};

struct DriverState {
  EngineStatus status = EngineStatus::starting;
  std::string reason = "the EL was not asked yet";
  Labels labels;
  Persistent persistent;
  std::string client_version;
  bool can_rewind = false;
  /// It may be rewound although there is one trust group only, whose word nobody confirms.
  bool rewind_for_single_source = false;
  eth::BlockId genesis;
  std::optional<ImportProgress> import;
  std::uint64_t engine_session = 0;
  /// Open watches of this state, and how long ago the last command was admitted, or the driver was started.
  std::uint32_t watchers = 0;
  absl::Duration idle;
};

enum class Outcome {
  done,
  missing_state,
  invalid,
  not_applied,
  contradicts_finalized,
  engine_unavailable,
  source_unavailable,
  source_reorged,
  unsupported,
  cancelled,
  refused,
};
const char* name(Outcome o);

/// How a command ended.
struct CommandResult {
  Outcome outcome = Outcome::done;
  std::string reason;
  std::optional<eth::BlockId> block;
  Labels labels;
  /// Why, where the outcome is `refused`.
  std::optional<Refusal> refusal = {};
};
/// What the gate refuses is how a command ended, too; any other error stays one.
absl::StatusOr<CommandResult> with_refusal(absl::StatusOr<CommandResult> r);

}  // namespace towline::driver
