// ImportRange: payloads in, newPayload and forkchoice updates out, until the tip is the head or something ends it.
// Whatever ends it, what the EL called VALID becomes the head: the blocks would be lost with the EL's memory. Pure.
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

  // Before the first payload.
  Effect begin() override;
  Effect on_admitted(const contract::Labels& el);
  Effect on_parent();
  /// A label below the range is applied only if it is on the chain that stays; one in the range is checked when it is
  /// reached.
  Effect keep_if_canonical(std::optional<eth::BlockId> contract::ImportRange::*label, const char* what,
                           const std::function<Effect()>& then);
  Effect run();

  // One payload after the other.
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
  /// Without its labels, if the gate does not let them pass.
  contract::Forkchoice checked(contract::Forkchoice f);

  /// VALID, and the head is where it was: an EL that calls blocks above its head canonical, see core/twin.hpp.
  bool stayed(const std::optional<Result>& update) const;
  /// ... and it is an op-geth that has not moved since it was lost or came back lower, and that stands so for a while.
  Effect needs_twins(Then<bool> then);
  Effect look_for_twins(TwinNeed need, Then<bool> then);
  Effect lead_from_the_start();
  /// Leads an EL that does not move onto `payload`, whose parent it has, through a twin of it. True: the payload's
  /// block is the head now; false: the twin is.
  Effect lead_through_twin(const Payload& payload, Then<absl::StatusOr<bool>> then);
  Effect send_twin(const Payload& payload, Twin twin, Then<absl::StatusOr<bool>> then);
  Effect move_through_twin(const Payload& payload, const Hash32& twin, Then<absl::StatusOr<bool>> then);

  Effect leave_with(contract::Outcome o, std::string reason, std::optional<eth::BlockId> block = {});
  Effect leave(Result r);
  Effect over(Result r);
  void tell();

  const contract::CommandStamp command_;
  contract::ImportRange range_;
  /// The labels that the command was admitted with.
  contract::Labels el_;
  std::optional<Hash32> ours_above_parent_;
  std::optional<ImportPlan> plan_;
  int stream_tries_ = 0;
  /// The EL is led through twins now; it is tried once in a command.
  bool leading_ = false;
  bool was_led_ = false;
  contract::ImportProgress progress_;
  Rates rates_;
  absl::Time started_;
  absl::Time told_;
};

}  // namespace towline::driver
