// StartElSync: the EL is to sync to a block by itself, by its peers. op-geth starts no sync for a block that it was
// never sent, so the payload goes first, then an update to it. The update has no labels: an EL that is not there yet
// cannot check them, and op-reth does not start with them. Each call is one try; whoever commands repeats it. Pure.
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
  /// VALID: its head is there, and not beside what was confirmed as final.
  Effect read_back(const eth::BlockId& head);
  Effect done(const contract::Labels& el);

  const contract::CommandStamp command_;
  const eth::BlockRef target_;
  absl::Time give_up_;
};

}  // namespace towline::driver
