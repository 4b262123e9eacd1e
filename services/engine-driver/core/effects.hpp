// What a session (command_session.hpp) asks of the world, one effect at a time, and what it tells on the way. Each
// effect names the answer that it waits for. Pure values.
#pragma once
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "libs/contract/command.hpp"
#include "services/engine-driver/core/engine_answer.hpp"
#include "services/engine-driver/core/gate.hpp"
#include "services/engine-driver/core/prepared_payload.hpp"
#include "services/engine-driver/core/twin.hpp"

namespace towline::driver {

/// The answer of an effect that cannot fail: it was done, or the time has passed.
struct Done {};

/// engine_newPayload with the body of `payload`.
struct SendPayload {
  using Answer = EngineAnswer;
  std::shared_ptr<const PreparedPayload> payload;
};
/// engine_forkchoiceUpdated.
struct SendForkchoice {
  using Answer = EngineAnswer;
  contract::Forkchoice update;
};
struct ReadLabels {
  using Answer = absl::StatusOr<contract::Labels>;
};
/// nullopt: the EL has no canonical block of that number.
struct ReadBlock {
  using Answer = absl::StatusOr<std::optional<eth::BlockRef>>;
  std::uint64_t number = 0;
};
/// Has the EL build a block on `parent` without moving its head: the result of engine_getPayload as JSON.
struct BuildTwin {
  using Answer = absl::StatusOr<std::string>;
  eth::BlockId parent;
  TwinPlan plan;
};
/// debug_setHead. UNAVAILABLE or DEADLINE_EXCEEDED: nothing is known of what came of it.
struct SetHead {
  using Answer = absl::Status;
  std::uint64_t number = 0;
};
/// Opens the stream of the payloads behind `parent` up to `tip`, in place of one that is open.
struct OpenPayloads {
  using Answer = Done;
  eth::BlockId parent;
  eth::BlockId tip;
  contract::PayloadOrigin origin = contract::PayloadOrigin::remote;
};
/// The next payload of the stream; nullopt: not yet. OUT_OF_RANGE: the stream is complete. Other errors as in
/// payload_source.proto.
struct NextPayload {
  using Answer = absl::StatusOr<std::optional<PreparedPayload>>;
};
/// An interrupt may cut it short.
struct WaitFor {
  using Answer = Done;
  absl::Duration time;
};
/// Puts `state` on disk.
struct Persist {
  using Answer = absl::Status;
  Persistent state;
};
/// The command is over. An error: it makes no sense, or nothing is known of the EL.
struct End {
  absl::StatusOr<contract::CommandResult> result;
};

using Effect = std::variant<SendPayload, SendForkchoice, ReadLabels, ReadBlock, BuildTwin, SetHead, OpenPayloads,
                            NextPayload, WaitFor, Persist, End>;
/// The answers of all effects.
using Event = std::variant<Done, absl::Status, EngineAnswer, ReadLabels::Answer, ReadBlock::Answer, BuildTwin::Answer,
                           NextPayload::Answer>;

/// What everybody is told of the EL and of the command; what is absent stays as it was.
struct StateChange {
  struct Status {
    contract::EngineStatus status;
    std::string reason;
  };
  std::optional<Status> status = {};
  std::optional<contract::Labels> labels = {};
  /// What is on disk now.
  std::optional<Persistent> kept = {};
  /// What was known of the EL does not count any more.
  bool new_session = false;
  std::optional<contract::ImportProgress> progress = {};
  bool import_ended = false;
  /// The EL was told to sync to it by itself.
  std::optional<eth::BlockId> el_sync_to = {};
  /// It has, or is led on by imports.
  bool el_sync_over = false;
};
void apply(const StateChange& change, contract::EngineState& state);

/// A line of the log.
struct Log {
  enum class Severity { info, warn, error } severity;
  std::string message;
  std::vector<std::pair<std::string, std::string>> fields;
};
enum class Counter { blocks, gas, broken_links, retries, twins, rewinds, young_labels };
struct Count {
  Counter counter;
  double by = 1;
};
struct CountRefusal {
  contract::Refusal refusal;
};
/// A command with this term was admitted.
struct Commanded {};
/// What may move the EL's head begins, or ends; the head that it asks for, if it is known.
struct HeadMoves {
  std::optional<Hash32> head;
};
using Note = std::variant<StateChange, Log, Count, CountRefusal, Commanded, HeadMoves>;

/// The notes are carried out before the effect.
struct Step {
  std::vector<Note> notes;
  Effect effect;
};

}  // namespace towline::driver
