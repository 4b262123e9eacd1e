// engine-driver in one process: the real sessions of its core, whose effects are answered by the EL model, by simulated
// payload sources, a disk and a late clock. Answers are lost, the EL is killed between any two of them, and the driver
// itself is killed or told to stop. Every write is checked before the EL gets it.
#pragma once
#include <absl/container/flat_hash_map.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "libs/contract/command.hpp"
#include "libs/rollup/config.hpp"
#include "libs/sim/el_model.hpp"
#include "services/engine-driver/core/command_session.hpp"

namespace towline::simulation {

class Driver {
 public:
  /// The rest of the world, as the driver uses it.
  struct Around {
    /// The blocks after `parent` up to `tip`, or the error that ends the stream.
    std::function<absl::StatusOr<std::vector<eth::BlockRef>>(const eth::BlockId& parent, const eth::BlockId& tip,
                                                             contract::PayloadOrigin origin)>
        payloads;
    /// Whether a source serves payloads.
    std::function<bool()> served;
    /// Whether the EL calls a block INVALID.
    std::function<bool(const Hash32&)> invalid;
    /// Called when the EL shows the labels of an update; `before`: its head before.
    std::function<void(const contract::Forkchoice&, const eth::BlockRef& before)> applied;
    /// Called before the EL is rewound.
    std::function<void(const eth::BlockId& to)> rewinds;
    std::function<void(const std::string&)> note, broken;
  };
  using Result = absl::StatusOr<contract::CommandResult>;

  Driver(std::mt19937_64& random, sim::ElProfile profile, const eth::BlockRef& genesis, const rollup::Config& chain,
         driver::MinAge::Ages ages, bool can_rewind, bool rewind_for_single_source, Around around);

  // Commands, one at a time: call work() until there is a result.
  void import(const contract::CommandStamp& c, const contract::ImportRange& range);
  void set_forkchoice(const contract::CommandStamp& c, const contract::Forkchoice& f);
  void rewind(const contract::CommandStamp& c, const eth::BlockId& to);
  void start_el_sync(const contract::CommandStamp& c, const contract::StartElSync& s);
  /// Carries out a few effects, as many as time and chance allow.
  std::optional<Result> work(absl::Time now);
  /// The caller is gone: ends the command at once.
  void cancel(absl::Time now);

  /// A look at the EL, like engine_poller's.
  void look(absl::Time now);
  /// The state that WatchState shows.
  const contract::EngineState& state() const { return state_; }

  /// SIGKILL: only the state on disk is left.
  void kill();
  /// SIGTERM: makes the blocks that the EL called VALID its head, if it answers.
  void stop(absl::Time now);
  /// Starts another process, with a clock that is `late`.
  void start(absl::Duration late);
  /// Fills the disk, or makes room again.
  void set_disk(bool writable) { disk_writable_ = writable; }

  // The EL and its faults.
  sim::ElModel& el() { return el_; }
  const sim::ElModel& el() const { return el_; }
  bool el_answers(absl::Time now) const { return el_up_ && now >= el_back_; }
  void kill_el(absl::Time now);
  void turn_el() { el_up_ = !el_up_; }
  /// Ends all faults: from now on everything answers.
  void heal();

 private:
  void begin(std::unique_ptr<driver::CommandSession> session, const contract::CommandStamp& c);
  void take(driver::Step step);
  /// Answers one effect; the result if that ended the command.
  std::optional<Result> answer();
  /// Runs the command to its end while the time stands still.
  void run_to_the_end();
  /// Whether the current call gets to the EL and its answer back, unless chance loses it.
  bool reached() const { return was_there_ && el_answers(now_) && life_ == lives_; }
  absl::Time clock() const { return now_ - late_; }
  contract::Labels labels() const { return {el_.latest(), el_.safe(), el_.finalized()}; }

  void carry_out(const driver::StateChange& change);
  void carry_out(const driver::HeadMoves& moves);
  void carry_out(const driver::Log&) {}
  void carry_out(const driver::Count&) {}
  void carry_out(const driver::CountRefusal&) {}
  void carry_out(const driver::Commanded&) {}

  driver::EngineAnswer carry_out(const driver::SendPayload& e);
  driver::EngineAnswer carry_out(const driver::SendForkchoice& e);
  driver::ReadLabels::Answer carry_out(const driver::ReadLabels&);
  driver::ReadBlock::Answer carry_out(const driver::ReadBlock& e);
  driver::BuildTwin::Answer carry_out(const driver::BuildTwin&);
  absl::Status carry_out(const driver::SetHead& e);
  driver::Done carry_out(const driver::OpenPayloads& e);
  driver::NextPayload::Answer carry_out(const driver::NextPayload&);
  driver::Done carry_out(const driver::WaitFor&);
  absl::Status carry_out(const driver::Persist& e);
  driver::Done carry_out(const driver::End&) { return {}; }

  driver::EngineAnswer write(const std::function<sim::ElAnswer()>& send);
  void check_write();
  void check_payload(const eth::BlockRef& block);
  void check_update(const contract::Forkchoice& f);

  std::mt19937_64& random_;
  const rollup::Config chain_;
  const driver::MinAge::Ages ages_;
  const Around around_;
  driver::SessionOptions options_;

  sim::ElModel el_;
  bool el_up_ = true;
  absl::Time el_back_ = absl::InfinitePast();
  /// The number of the EL's restarts, now and when the current effect was asked for: a call across a restart is lost.
  int lives_ = 0, life_ = 0;
  /// Whether the EL was up when the current effect was asked for: if not, the call is refused at once.
  bool was_there_ = true;
  /// Whether answers of the EL may be lost.
  bool lossy_ = true;

  absl::Time now_;
  absl::Duration late_ = absl::ZeroDuration();
  driver::Persistent disk_;
  bool disk_writable_ = true;
  driver::Memory memory_;
  contract::EngineState state_;
  bool el_lost_ = true;
  std::unique_ptr<driver::CommandSession> session_;
  /// The command starts a sync of the EL's own: the only command whose payload may have an unknown parent.
  bool el_syncs_ = false;
  driver::Step step_;
  std::optional<absl::Time> wake_;
  contract::PayloadOrigin origin_ = contract::PayloadOrigin::remote;
  absl::StatusOr<std::vector<eth::BlockRef>> payloads_ = std::vector<eth::BlockRef>{};
  std::size_t next_ = 0;

  // For the invariants.
  contract::CommandStamp command_;
  std::uint64_t highest_term_ = 0;
  std::optional<eth::BlockId> highest_finalized_;
  /// The labels that the driver read last, and whether a write was lost since.
  contract::Labels read_;
  bool lost_ = false;
  /// No labels were read for this command yet; and: the EL has lost labels since they were read.
  bool unread_ = true, another_ = false;
  /// Every call was answered since the driver was told to stop.
  bool answered_ = true;
  std::optional<contract::Forkchoice> asked_;
  eth::BlockRef head_before_;
  std::optional<eth::BlockId> to_confirm_;
  /// The last block of this command that the EL called VALID, or its head.
  std::optional<eth::BlockId> valid_;
  /// When the EL called each block INVALID, since the last start of driver and EL.
  absl::flat_hash_map<Hash32, absl::Time> invalid_;
};

}  // namespace towline::simulation
