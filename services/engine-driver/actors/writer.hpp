// The only writer to the EL. A thread of its own runs one command after the other; what is decided about it is in
// core/command_session.hpp, and this carries out the effects: the engine client, the payload stream, the state file,
// the clock, the board, the log.
//
// Owns: what is known from one command to the next. In: jobs. Out: results through the job. If the EL dies the command
// in hand ends with engine_unavailable; if the payload source dies it is asked again a few times, then
// source_unavailable. When this process is told to stop an import makes the head what it has imported.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "libs/telemetry/metrics.hpp"
#include "services/engine-driver/actors/engine_client.hpp"
#include "services/engine-driver/actors/payload_stream.hpp"
#include "services/engine-driver/actors/state_board.hpp"
#include "services/engine-driver/actors/state_file.hpp"
#include "services/engine-driver/core/command_session.hpp"

namespace towline::driver {

class Writer {
 public:
  using Options = SessionOptions;
  /// Polled while a command runs; true ends it.
  using Cancelled = std::function<bool()>;
  using OnProgress = std::function<void(const contract::ImportProgress&)>;

  Writer(Options options, Gate gate, MinAge min_age, const StateFile& file, EngineClient& engine, StateBoard& board,
         OpenPayloadStream open_stream, Metrics& metrics);

  /// Outcome `refused`: by the gate, and nothing was sent. An error: the command makes no sense, or nothing is known of
  /// the EL. CANCELLED: this process is told to stop.
  absl::StatusOr<contract::CommandResult> import_range(const contract::CommandStamp& c,
                                                       const contract::ImportRange& range, const Cancelled& cancelled,
                                                       const OnProgress& progress);
  absl::StatusOr<contract::CommandResult> set_forkchoice(const contract::CommandStamp& c, const contract::Forkchoice& f,
                                                         const Cancelled& cancelled);
  absl::StatusOr<contract::CommandResult> rewind(const contract::CommandStamp& c, const eth::BlockId& to);
  absl::StatusOr<contract::CommandResult> lower_finalized(const eth::BlockId& was, const eth::BlockId& to,
                                                          const std::string& reason);

 private:
  class Runner;
  absl::StatusOr<contract::CommandResult> run(CommandSession& session, const Cancelled& cancelled,
                                              const OnProgress& on_progress);

  const Options options_;
  Memory memory_;
  const StateFile& file_;
  EngineClient& engine_;
  StateBoard& board_;
  const OpenPayloadStream open_stream_;
  Metrics& metrics_;
  /// By Counter: two of them count with every block.
  std::vector<Metrics::Counter> counters_;
};

}  // namespace towline::driver
