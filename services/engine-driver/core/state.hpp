// What the driver tells of itself and its EL. Pure values.
#pragma once
#include <optional>
#include <string>

#include "services/engine-driver/core/gate.hpp"

namespace towline::driver {

enum class EngineStatus { starting, ready, unreachable, auth_failed, wrong_chain, syncing, invalid };

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
  std::optional<ImportProgress> import;
  std::uint64_t engine_session = 0;
};

enum class Outcome {
  done,
  missing_state,
  invalid,
  not_applied,
  engine_unavailable,
  source_unavailable,
  source_reorged,
  unsupported,
  cancelled,
};
const char* name(Outcome o);

/// How a command ended.
struct CommandResult {
  Outcome outcome = Outcome::done;
  std::string reason;
  std::optional<eth::BlockId> block;
  Labels labels;
};

}  // namespace towline::driver
