// What a coordinator commands an engine-driver, and how a command ended. Pure values.
#pragma once
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string>

#include "libs/contract/engine.hpp"
#include "libs/contract/refusal.hpp"
#include "libs/eth/types.hpp"

namespace towline::contract {

/// Who commands, and on what view of the EL.
struct CommandStamp {
  std::string authority;
  std::uint64_t term = 0;
  Hash32 expected_head;
  /// It is not earlier, by the chain's own clock.
  absl::Time chain_time = absl::InfinitePast();
  bool operator==(const CommandStamp&) const = default;
};

/// Where the payloads of an import come from.
enum class PayloadOrigin {
  remote,
  gossip,  // the p2p network's cache
};

struct ImportRange {
  eth::BlockId parent;
  eth::BlockId tip;
  /// Wanted labels. One at or below the parent must be canonical in the EL.
  std::optional<eth::BlockId> safe;
  std::optional<eth::BlockId> finalized;
  PayloadOrigin origin = PayloadOrigin::remote;
  bool from_gossip() const { return origin == PayloadOrigin::gossip; }
  bool operator==(const ImportRange&) const = default;
};

/// As ForkchoiceStateV1 of the Engine API; an absent label is sent as zero: leave it as it is.
struct Forkchoice {
  eth::BlockId head;
  std::optional<eth::BlockId> safe;
  std::optional<eth::BlockId> finalized;
  bool operator==(const Forkchoice&) const = default;
};

/// The EL is to sync to `target` by itself.
struct StartElSync {
  eth::BlockRef target;
  bool operator==(const StartElSync&) const = default;
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
  /// One line for a person.
  std::string reason;
  /// The block that it is about, where there is one.
  std::optional<eth::BlockId> block;
  /// As they were read last.
  Labels labels;
  /// Why, where the outcome is `refused`.
  std::optional<Refusal> refusal = {};
  bool operator==(const CommandResult&) const = default;
};
/// What the gate refuses is how a command ended, too; any other error stays one.
absl::StatusOr<CommandResult> with_refusal(absl::StatusOr<CommandResult> r);

}  // namespace towline::contract
