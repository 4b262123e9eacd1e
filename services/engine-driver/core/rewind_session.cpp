#include "services/engine-driver/core/rewind_session.hpp"

namespace towline::driver {
namespace {

constexpr const char* kSilent = "the EL does not answer after the rewind";

}  // namespace

Effect RewindSession::begin() {
  return admit(command_, [this](const contract::Labels& el) { return on_admitted(el); });
}

Effect RewindSession::on_admitted(const contract::Labels& el) {
  if (!options_.can_rewind) {
    return end(
        contract::refuse(contract::Refusal::cannot_rewind, "no --engine.admin-rpc: this driver cannot rewind its EL"));
  }
  // A rewind to its own head loses nothing; it makes the EL forget the blocks above its head.
  if (to_.hash != el.unsafe->hash) {
    if (auto st = memory_.gate.check_rewind(to_); !st.ok()) return end(st);
  }
  return check_canonical(to_, "the block to rewind to", [this, from = *el.unsafe](const absl::Status& canonical) {
    if (!canonical.ok()) return end(canonical);
    return rewind(from, to_, [this](const absl::Status& st) {
      if (!st.ok()) return end_with(contract::Outcome::not_applied, std::string{st.message()}, to_);
      return on_rewound();
    });
  });
}

Effect RewindSession::on_rewound() {
  return ended(contract::Outcome::done, {}, to_, [this](Result r) {
    if (!r.labels.unsafe) return end_with(contract::Outcome::engine_unavailable, kSilent, to_);
    if (r.labels.unsafe->hash != to_.hash) {
      r.outcome = contract::Outcome::not_applied;
      r.reason = absl::StrCat("after debug_setHead the head is ", eth::to_string(*r.labels.unsafe));
    }
    return end(std::move(r));
  });
}

Effect LowerFinalizedSession::begin() {
  // This command may repair an EL that contradicts the confirmed finalized block.
  if (!contract::may_be_written_to(engine().status) && engine().status != contract::EngineStatus::contradicts_finalized)
    return end(absl::UnavailableError(absl::StrCat("the EL may not be written to: ", engine().reason)));
  return ask(ReadLabels{}, [this](absl::StatusOr<contract::Labels> el) {
    if (!el.ok()) return end(el.status());
    return check_canonical(to_, "the block to go back to", [this, el = *el](const absl::Status& canonical) {
      if (!canonical.ok()) return end(canonical);
      return on_canonical(el);
    });
  });
}

Effect LowerFinalizedSession::on_canonical(const contract::Labels& el) {
  const auto next = memory_.gate.lower_finalized(was_, to_, el);
  if (!next.ok()) return end(next.status());
  return persist(*next, [this, el](const absl::Status& saved) {
    if (!saved.ok()) return end(saved);
    return on_lowered(el);
  });
}

Effect LowerFinalizedSession::on_lowered(const contract::Labels& el) {
  say(Log::Severity::warn, "an operator takes back what was final",
      {{"was", eth::to_string(was_)}, {"to", eth::to_string(to_)}, {"reason", reason_}});
  // The labels that wait for their age belong to the abandoned chain.
  memory_.min_age.forget();
  // A coordinator's knowledge about this EL was based on another confirmed finalized block.
  StateChange change{.kept = memory_.gate.state(), .new_session = true};
  // The EL's chain contains `to`, so it no longer contradicts us.
  if (engine().status == contract::EngineStatus::contradicts_finalized &&
      memory_.gate.state().confirmed_finalized == to_)
    change.status = {{contract::EngineStatus::ready, {}}};
  note(std::move(change));
  if (!must_go_back(el, was_, to_)) return end_with(contract::Outcome::done, {}, to_);
  // Uses debug_setHead instead of an update: op-geth has moved finalized blocks to its ancient store, and would serve
  // them by number even after a branch switch. A block that op-geth no longer has cannot be a label either.
  if (!options_.can_rewind) {
    return end_with(contract::Outcome::not_applied, absl::StrCat("no --engine.admin-rpc, and ", above(el, to_)), to_);
  }
  return rewind(*el.unsafe, to_, [this](const absl::Status& st) {
    if (!st.ok()) return end_with(contract::Outcome::not_applied, std::string{st.message()}, to_);
    return on_rewound();
  });
}

Effect LowerFinalizedSession::on_rewound() {
  return ended(contract::Outcome::done, {}, to_, [this](Result r) {
    if (!r.labels.unsafe) return end_with(contract::Outcome::engine_unavailable, kSilent, to_);
    // op-geth may end up even lower, at a block whose state it has.
    if (const std::string wrong = above(r.labels, to_); !wrong.empty()) {
      r.outcome = contract::Outcome::not_applied;
      r.reason = absl::StrCat("after debug_setHead ", wrong);
    }
    return end(std::move(r));
  });
}

}  // namespace towline::driver
