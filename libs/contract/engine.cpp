#include "libs/contract/engine.hpp"

namespace towline::contract {

bool may_be_written_to(EngineStatus s) {
  switch (s) {
    case EngineStatus::ready:
    case EngineStatus::unreachable:
    case EngineStatus::auth_failed:
    case EngineStatus::syncing:
    case EngineStatus::invalid: return true;
    case EngineStatus::starting:
    case EngineStatus::wrong_chain:
    case EngineStatus::not_an_engine:
    case EngineStatus::driven_elsewhere:
    case EngineStatus::contradicts_finalized:
    case EngineStatus::state_not_saved: break;
  }
  return false;
}

}  // namespace towline::contract
