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

/// Who commands, and which head of the EL the command was decided on.
struct CommandStamp {
  std::string authority;
  std::uint64_t term = 0;
  Hash32 expected_head;
  /// The earliest possible time, by the chain's own clock (HeadSnapshot::chain_time); InfinitePast: not known.
  absl::Time chain_time = absl::InfinitePast();
  bool operator==(const CommandStamp&) const = default;
};

/// Where the payloads of an import come from.
enum class PayloadOrigin {
  remote,
  gossip,  // p2p-gossip's cache
};

/// The import of parent+1 .. tip.
struct ImportRange {
  eth::BlockId parent;
  eth::BlockId tip;
  /// Wanted labels; absent: leave as it is. A label at or below the parent must be canonical in the EL.
  std::optional<eth::BlockId> safe;
  std::optional<eth::BlockId> finalized;
  PayloadOrigin origin = PayloadOrigin::remote;
  bool from_gossip() const { return origin == PayloadOrigin::gossip; }
  bool operator==(const ImportRange&) const = default;
};

/// ForkchoiceStateV1 of the Engine API. An absent label is sent as a zero hash, which leaves it as it is.
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

/// As Outcome in engine_driver.proto, which explains each.
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
  /// The block that the outcome is about, if any.
  std::optional<eth::BlockId> block;
  /// The EL's labels, as they were read last.
  Labels labels;
  /// Absent unless the outcome is `refused`, and where this version does not know the refusal.
  std::optional<Refusal> refusal = {};
  bool operator==(const CommandResult&) const = default;
};
/// Turns an error of the gate (contract::refuse()) into a result with outcome `refused`; any other error stays one.
absl::StatusOr<CommandResult> with_refusal(absl::StatusOr<CommandResult> r);

}  // namespace towline::contract
