// What is reported about a tow: its state, and the decisions that led there. Pure.
#pragma once
#include "services/sync-coordinator/core/decision_log.hpp"
#include "services/sync-coordinator/core/tow_status.hpp"

namespace towline::coordinator {

struct Report {
  TowStatus status;
  DecisionLog log;

  void enter(Status s, absl::Time now) { status.enter(std::move(s), now); }
  void enter(TowState state, Code code, std::string reason, absl::Time now) {
    enter({state, std::move(code), std::move(reason)}, now);
  }
  void note(Note n, absl::Time now) { log.add(std::move(n), status.state(), now); }
  void note(Action a, std::string reason, absl::Time now) { note({a, std::move(reason), {}}, now); }
};

}  // namespace towline::coordinator
