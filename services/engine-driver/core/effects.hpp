// What a session (command_session.hpp) requests from its environment, one effect at a time, and what it reports on the
// way. Each effect names the type of its answer. Pure values.
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

/// The answer of an effect that cannot fail: it was done, or the time is over.
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
/// Has the EL build a block on `parent` without moving its head. The answer is the result of engine_getPayload as JSON.
struct BuildTwin {
  using Answer = absl::StatusOr<std::string>;
  eth::BlockId parent;
  TwinPlan plan;
};
/// debug_setHead. UNAVAILABLE or DEADLINE_EXCEEDED: the outcome is unknown.
struct SetHead {
  using Answer = absl::Status;
  std::uint64_t number = 0;
};
/// Opens the stream of the payloads after `parent` up to `tip`, and closes the previous stream.
struct OpenPayloads {
  using Answer = Done;
  eth::BlockId parent;
  eth::BlockId tip;
  contract::PayloadOrigin origin = contract::PayloadOrigin::remote;
};
/// The next payload of the stream; nullopt: not there yet. OUT_OF_RANGE: the stream is complete. Other errors are those
/// of payload_source.proto.
struct NextPayload {
  using Answer = absl::StatusOr<std::optional<PreparedPayload>>;
};
/// An interrupt may end the wait early.
struct WaitFor {
  using Answer = Done;
  absl::Duration time;
};
/// Writes `state` to disk.
struct Persist {
  using Answer = absl::Status;
  Persistent state;
};
/// The command is over. An error status: the command is malformed, the state cannot be saved, or the EL cannot be used.
struct End {
  absl::StatusOr<contract::CommandResult> result;
};

using Effect = std::variant<SendPayload, SendForkchoice, ReadLabels, ReadBlock, BuildTwin, SetHead, OpenPayloads,
                            NextPayload, WaitFor, Persist, End>;
/// The answers of all effects.
using Event = std::variant<Done, absl::Status, EngineAnswer, ReadLabels::Answer, ReadBlock::Answer, BuildTwin::Answer,
                           NextPayload::Answer>;

/// A change of the published state; absent fields stay as they are.
struct StateChange {
  struct Status {
    contract::EngineStatus status;
    std::string reason;
  };
  std::optional<Status> status = {};
  std::optional<contract::Labels> labels = {};
  /// The state that is on disk now.
  std::optional<Persistent> kept = {};
  /// Earlier knowledge about the EL is void.
  bool new_session = false;
  std::optional<contract::ImportProgress> progress = {};
  bool import_ended = false;
  /// The EL was told to sync to this block by itself.
  std::optional<eth::BlockId> el_sync_to = {};
  /// The EL has synced, or an import moves it now.
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
/// A command with a valid term was admitted.
struct Commanded {};
/// Marks the begin and the end of anything that may move the EL's head. `head`: the requested head, if known.
struct HeadMoves {
  std::optional<Hash32> head;
};
using Note = std::variant<StateChange, Log, Count, CountRefusal, Commanded, HeadMoves>;

/// The notes have to be carried out before the effect.
struct Step {
  std::vector<Note> notes;
  Effect effect;
};

}  // namespace towline::driver
