// The two commands that move the EL back: Rewind, and LowerFinalized, by which an operator revokes finality. Pure.
#pragma once
#include "services/engine-driver/core/command_session.hpp"

namespace towline::driver {

class RewindSession final : public CommandSession {
 public:
  RewindSession(const SessionOptions& options, Memory& memory, contract::CommandStamp command, const eth::BlockId& to)
      : CommandSession{options, memory}, command_{std::move(command)}, to_{to} {}

 private:
  Effect begin() override;
  Effect on_admitted(const contract::Labels& el);
  Effect on_rewound();

  const contract::CommandStamp command_;
  const eth::BlockId to_;
};

/// Gate::lower_finalized(), then a rewind of the EL to `to` if that is needed and possible. Outcome not_applied: the
/// confirmed finalized block is lowered, but an operator has to move the EL back.
class LowerFinalizedSession final : public CommandSession {
 public:
  LowerFinalizedSession(const SessionOptions& options, Memory& memory, const eth::BlockId& was, const eth::BlockId& to,
                        std::string reason)
      : CommandSession{options, memory}, was_{was}, to_{to}, reason_{std::move(reason)} {}

 private:
  Effect begin() override;
  Effect on_canonical(const contract::Labels& el);
  Effect on_lowered(const contract::Labels& el);
  Effect on_rewound();

  const eth::BlockId was_, to_;
  const std::string reason_;
};

}  // namespace towline::driver
