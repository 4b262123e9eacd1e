// StartElSync: the EL syncs to a block by itself, from its peers. op-geth starts no sync to a block that it never
// received, so the payload is sent first, and then an update to it. The update carries no labels: an EL that has not
// synced yet cannot check them, and op-reth does not start a sync with them. Each call is sent once; the sender of the
// command repeats the command. Pure.
#pragma once
#include "services/engine-driver/core/command_session.hpp"

namespace towline::driver {

class ElSyncSession final : public CommandSession {
 public:
  ElSyncSession(const SessionOptions& options, Memory& memory, contract::CommandStamp command,
                const contract::StartElSync& start)
      : CommandSession{options, memory}, command_{std::move(command)}, target_{start.target} {}

 private:
  using Payload = std::shared_ptr<const PreparedPayload>;

  Effect begin() override;
  Effect on_admitted(const contract::Labels& el);
  Effect next();
  Effect on_payload(const Payload& payload);
  Effect update(const eth::BlockId& head);
  Effect on_answer(const eth::BlockId& head, const EngineAnswer& a);
  /// After VALID: the EL must have the target, and must not contradict the confirmed finalized block.
  Effect read_back(const eth::BlockId& head);
  /// A check after VALID did not pass: `refused` if it was refused, else the EL could not be asked.
  Effect end_after_check(const absl::Status& check, contract::Outcome refused);
  Effect done(const contract::Labels& el);

  const contract::CommandStamp command_;
  const eth::BlockRef target_;
  absl::Time give_up_;
};

}  // namespace towline::driver
