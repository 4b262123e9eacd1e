// SetForkchoice: the labels move, the head stays. Pure.
#pragma once
#include "services/engine-driver/core/command_session.hpp"

namespace towline::driver {

class ForkchoiceSession final : public CommandSession {
 public:
  ForkchoiceSession(const SessionOptions& options, Memory& memory, contract::CommandStamp command,
                    const contract::Forkchoice& wanted)
      : CommandSession{options, memory}, command_{std::move(command)}, wanted_{wanted} {}

 private:
  Effect begin() override;
  Effect on_admitted(const contract::Labels& el);
  Effect check_label(const std::optional<eth::BlockId>& label, const char* what, const std::function<Effect()>& then);
  Effect move_labels();

  const contract::CommandStamp command_;
  /// Without the labels that have to wait for their age.
  contract::Forkchoice wanted_;
};

}  // namespace towline::driver
