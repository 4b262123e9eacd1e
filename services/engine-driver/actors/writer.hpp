// The only writer to the EL. An actor in its own thread runs one command after the other; each passes the gate first.
//
// Owns: the gate, the state file, the quarantine. In: jobs. Out: results through the job. Timers: none. If the EL dies
// the command in hand ends with engine_unavailable; if the payload source dies it is asked again a few times, then
// source_unavailable.
#pragma once
#include <atomic>
#include <functional>
#include <memory>

#include "libs/rollup/config.hpp"
#include "libs/telemetry/metrics.hpp"
#include "services/engine-driver/actors/engine_client.hpp"
#include "services/engine-driver/actors/payload_stream.hpp"
#include "services/engine-driver/actors/state_board.hpp"
#include "services/engine-driver/actors/state_file.hpp"
#include "services/engine-driver/core/import_plan.hpp"
#include "services/engine-driver/core/min_age.hpp"
#include "services/engine-driver/core/quarantine.hpp"

namespace towline::driver {

class Writer {
 public:
  struct Options {
    std::uint64_t forkchoice_every = 32;
    /// How long one call is repeated before the command ends with engine_unavailable.
    absl::Duration give_up_after = absl::Seconds(30);
    /// After so long a silence the labels are read before the next write: no EL comes back from a restart sooner.
    absl::Duration restart_takes = absl::Milliseconds(250);
    /// --engine.twins
    bool twins = true;
  };
  /// Polled while a command runs; true ends it.
  using Cancelled = std::function<bool()>;
  using OnProgress = std::function<void(const contract::ImportProgress&)>;

  Writer(Options options, Gate gate, MinAge min_age, const StateFile& file, EngineClient& engine, StateBoard& board,
         OpenPayloadStream open_stream, Metrics& metrics);

  /// Outcome `refused`: by the gate, and nothing was sent. An error: the command makes no sense, or nothing is known of
  /// the EL.
  absl::StatusOr<contract::CommandResult> import_range(const contract::CommandStamp& c,
                                                       const contract::ImportRange& range, const Cancelled& cancelled,
                                                       const OnProgress& progress);
  absl::StatusOr<contract::CommandResult> set_forkchoice(const contract::CommandStamp& c, const contract::Forkchoice& f,
                                                         const Cancelled& cancelled);
  absl::StatusOr<contract::CommandResult> rewind(const contract::CommandStamp& c, const eth::BlockId& to);
  /// As Gate::lower_finalized(); then the EL is rewound to `to` where it can be. Outcome not_applied: the fence is
  /// lowered, and the EL has to go back by hand.
  absl::StatusOr<contract::CommandResult> lower_finalized(const eth::BlockId& was, const eth::BlockId& to,
                                                          const std::string& reason);

 private:
  class RangeImport;
  absl::StatusOr<contract::CommandResult> import(const contract::CommandStamp& c, const contract::ImportRange& range,
                                                 const Cancelled& cancelled, const OnProgress& progress);
  absl::StatusOr<contract::CommandResult> set_labels(const contract::CommandStamp& c,
                                                     const contract::Forkchoice& wanted, const Cancelled& cancelled);
  absl::StatusOr<contract::CommandResult> go_back(const contract::CommandStamp& c, const eth::BlockId& to);
  absl::StatusOr<contract::CommandResult> take_back(const eth::BlockId& was, const eth::BlockId& to,
                                                    const std::string& reason);
  /// debug_setHead. OK where its answer is lost, too: the labels tell what came of it.
  absl::Status set_head(const eth::BlockRef& from, const eth::BlockId& to);
  /// Counts and logs what the gate refuses.
  absl::StatusOr<contract::CommandResult> noted(absl::StatusOr<contract::CommandResult> ended);
  /// Reads the EL's labels and passes `c` through the gate; a newer epoch is on disk before anything is sent.
  absl::StatusOr<contract::Labels> admit(const contract::CommandStamp& c);
  /// OK if `id` is canonical in the EL.
  absl::Status check_canonical(const eth::BlockId& id, const char* what);
  /// Sends a write, and again while the reaction is retry: each time only to an EL whose labels are as they were.
  /// `update`: the write, if it is an update.
  EngineAnswer until_known(Call call, const std::function<EngineAnswer()>& send, const contract::Forkchoice* update,
                           const Cancelled& cancelled);
  /// Sends the update and reads back; nullopt: done and equal.
  std::optional<contract::CommandResult> update(const contract::Forkchoice& f, const Cancelled& cancelled);
  /// Leads an EL that does not move onto `payload`, whose parent it has, through a twin of it (core/twin.hpp). True:
  /// the payload's block is the head now; false: the twin is.
  absl::StatusOr<bool> lead_through_twin(const PreparedPayload& payload);
  contract::CommandResult failed(Call call, const EngineAnswer& answer, const eth::BlockId& block,
                                 const Cancelled& cancelled);
  /// The result with the labels as they read back.
  contract::CommandResult ended(contract::Outcome o, std::string reason, std::optional<eth::BlockId> block = {});
  /// On disk, or nothing more is written to the EL until the monitor finds that it can be.
  absl::Status save(const Persistent& p);
  Save saver() {
    return [this](const Persistent& p) { return save(p); };
  }
  /// OK, or the EL has another block than the fence at its height.
  absl::Status check_fence();

  Metrics::Counter refused(contract::Refusal r);
  /// As MinAge::hold(); counted and logged.
  bool hold_young(const contract::Labels& el, std::optional<eth::BlockId>& safe,
                  std::optional<eth::BlockId>& finalized);

  static const char* const kBlocksImported;
  static const char* const kBlocksImportedHelp;
  static const char* const kGasImported;
  static const char* const kGasImportedHelp;
  static const char* const kBrokenLinks;
  static const char* const kBrokenLinksHelp;

  const Options options_;
  Gate gate_;
  MinAge min_age_;
  /// How far our clock is behind the chain's, as the last command had it.
  absl::Duration late_ = absl::ZeroDuration();
  absl::Time chain_now() const;
  const StateFile& file_;
  EngineClient& engine_;
  StateBoard& board_;
  const OpenPayloadStream open_stream_;
  Metrics& metrics_;
  /// The labels that the next write stands on, and when the EL answered last.
  contract::Labels shown_;
  absl::Time heard_ = absl::InfinitePast();
  /// Emptied with a new engine session: a restart may have healed the EL.
  Quarantine quarantine_;
  /// The EL's life that the following is about: it has moved its head when it was told to.
  std::uint64_t session_ = 0;
  bool moves_ = false;
  absl::Time said_young_ = absl::InfinitePast();
};

}  // namespace towline::driver
