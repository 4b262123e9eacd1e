#include "libs/contract/command.hpp"

namespace towline::contract {

const char* name(Outcome o) {
  switch (o) {
    case Outcome::done: return "done";
    case Outcome::missing_state: return "missing_state";
    case Outcome::invalid: return "invalid";
    case Outcome::not_applied: return "not_applied";
    case Outcome::contradicts_finalized: return "contradicts_finalized";
    case Outcome::engine_unavailable: return "engine_unavailable";
    case Outcome::source_unavailable: return "source_unavailable";
    case Outcome::source_reorged: return "source_reorged";
    case Outcome::unsupported: return "unsupported";
    case Outcome::cancelled: return "cancelled";
    case Outcome::refused: return "refused";
  }
  return "?";
}

absl::StatusOr<CommandResult> with_refusal(absl::StatusOr<CommandResult> r) {
  const auto refusal = refusal_of(r.status());
  if (!refusal) return r;
  CommandResult out;
  out.outcome = Outcome::refused;
  out.reason = std::string{r.status().message()};
  out.refusal = refusal;
  return out;
}

}  // namespace towline::contract
