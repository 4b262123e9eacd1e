// The two commands that take the EL back: Rewind, and LowerFinalized by which an operator takes back what was final.
// Pure.
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

/// As Gate::lower_finalized(); then the EL is rewound to `to` where it can be. Outcome not_applied: the confirmed
/// finalized block is lowered, and the EL has to go back by hand.
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
