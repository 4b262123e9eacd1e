// ImportRange: sends newPayload and forkchoice updates for a stream of payloads, until the tip is the head or something
// ends the import. In any case the blocks that the EL called VALID become its head: otherwise a restart of the EL would
// lose them. Pure.
#pragma once
#include "services/engine-driver/core/command_session.hpp"
#include "services/engine-driver/core/import_plan.hpp"
#include "services/engine-driver/core/rates.hpp"
#include "services/engine-driver/core/twin.hpp"

namespace towline::driver {

class ImportSession final : public CommandSession {
 public:
  ImportSession(const SessionOptions& options, Memory& memory, contract::CommandStamp command,
                const contract::ImportRange& range)
      : CommandSession{options, memory}, command_{std::move(command)}, range_{range} {}

 private:
  using Payload = std::shared_ptr<const PreparedPayload>;

  // Steps before the first payload.
  Effect begin() override;
  Effect on_admitted(const contract::Labels& el);
  Effect on_parent();
  /// Drops a requested label below the range unless it is on the chain that stays. A label within the range is checked
  /// when it is reached.
  Effect keep_if_canonical(std::optional<eth::BlockId> contract::ImportRange::*label, const char* what,
                           const std::function<Effect()>& then);
  Effect run();

  // Steps for each payload.
  Effect next();
  Effect on_broken_stream(const absl::Status& why);
  Effect on_payload(Payload payload);
  Effect on_answer(const Payload& payload, const EngineAnswer& a);
  Effect on_missing_state(const Payload& payload, const EngineAnswer& a);
  Effect on_valid(const Payload& payload);
  Effect count(const PreparedPayload& payload);
  Effect after_update(const eth::BlockId& imported);
  Effect move_head(const contract::Forkchoice& f, const eth::BlockId& imported);
  Effect on_moved(const contract::Forkchoice& f, const eth::BlockId& imported, std::optional<Result> bad);
  /// `f`, without its labels if the gate refuses them.
  contract::Forkchoice checked(contract::Forkchoice f);

  /// VALID, but the head did not move: the EL may call blocks above its head canonical, see core/twin.hpp.
  bool stayed(const std::optional<Result>& update) const;
  /// Whether an EL that stayed is an op-geth that has not moved in this session and keeps standing: it needs twins.
  Effect needs_twins(Then<bool> then);
  Effect look_for_twins(TwinNeed need, Then<bool> then);
  Effect lead_from_the_start();
  /// Moves an EL that stays onto `payload`, whose parent it has, through a twin of it. True: the block of `payload` is
  /// the head now; false: its twin is.
  Effect lead_through_twin(const Payload& payload, Then<absl::StatusOr<bool>> then);
  Effect send_twin(const Payload& payload, Twin twin, Then<absl::StatusOr<bool>> then);
  Effect move_through_twin(const Payload& payload, const Hash32& twin, Then<absl::StatusOr<bool>> then);

  Effect leave_with(contract::Outcome o, std::string reason, std::optional<eth::BlockId> block = {});
  Effect leave(Result r);
  Effect over(Result r);
  void tell();

  const contract::CommandStamp command_;
  contract::ImportRange range_;
  /// The EL's labels at admission.
  contract::Labels el_;
  std::optional<Hash32> ours_above_parent_;
  std::optional<ImportPlan> plan_;
  int stream_tries_ = 0;
  /// The EL is being led through twins; this is tried once per command.
  bool leading_ = false;
  bool was_led_ = false;
  contract::ImportProgress progress_;
  Rates rates_;
  absl::Time started_;
  absl::Time told_;
};

}  // namespace towline::driver
