#include "services/engine-driver/core/el_sync_session.hpp"

namespace towline::driver {

Effect ElSyncSession::begin() {
  if (target_.number == 0) return end(absl::InvalidArgumentError("nothing leads to block 0"));
  const eth::BlockId parent{target_.number - 1, target_.parent_hash};
  return ask(OpenPayloads{parent, target_.id()}, [this](Done) {
    return admit(
        command_, [this](const contract::Labels& el) { return on_admitted(el); }, Head::any);
  });
}

Effect ElSyncSession::on_admitted(const contract::Labels& el) {
  if (const auto& confirmed = memory_.gate.state().confirmed_finalized;
      confirmed && target_.number <= confirmed->number && target_.id() != *confirmed) {
    return end(contract::refuse(contract::Refusal::below_finalized,
                                absl::StrCat("a sync to ", eth::to_string(target_), " would end below or beside ",
                                             eth::to_string(*confirmed))));
  }
  give_up_ = now() + options_.give_up_after;
  if (target_.number > el.unsafe->number) return next();
  // The EL is at the target or past it. An update to its own head tells whether its sync is done. The update must not
  // name an ancestor of the head: op-geth might take it for an order to go back.
  return check_canonical(target_.id(), "the block to sync to", [this, head = el.unsafe->id()](const absl::Status& st) {
    if (!st.ok()) return end(st);
    return update(head);
  });
}

Effect ElSyncSession::next() {
  if (interrupted()) return end_with(contract::Outcome::cancelled, why_interrupted());
  return ask(NextPayload{}, [this](NextPayload::Answer got) {
    if (got.ok() && !*got && now() < give_up_) return next();
    if (got.ok() && !*got) got = absl::DeadlineExceededError("no payload came");
    if (got.ok()) return on_payload(std::make_shared<const PreparedPayload>(**std::move(got)));
    const absl::Status& why = got.status();
    const bool reorged = absl::IsFailedPrecondition(why) || absl::IsNotFound(why);
    return end_with(reorged ? contract::Outcome::source_reorged : contract::Outcome::source_unavailable,
                    absl::StrCat("payload source: ", why.message()), target_.id());
  });
}

Effect ElSyncSession::on_payload(const Payload& payload) {
  const eth::BlockId id = target_.id();
  if (payload->ref.hash != id.hash) {
    note(Count{Counter::broken_links});
    return end_with(contract::Outcome::source_reorged, "the payload is of another block", payload->ref.id());
  }
  if (!payload->refused.ok()) {
    return end_with(contract::Outcome::invalid,
                    absl::StrCat("block ", eth::to_string(id), " is kept from the EL: ", payload->refused.message()),
                    id);
  }
  if (memory_.quarantine.holds(id.hash, now())) {
    return end_with(contract::Outcome::invalid,
                    absl::StrCat("block ", eth::to_string(id), " is quarantined: the EL called it INVALID"), id);
  }
  note(HeadMoves{id.hash});
  return ask(SendPayload{payload}, [this, id](const EngineAnswer& a) {
    const Reaction r = react(a);
    if (r == Reaction::proceed || r == Reaction::missing_state) return update(id);
    return failed(Call::new_payload, a, id, Tries::until_known, [this](Result x) { return end(std::move(x)); });
  });
}

Effect ElSyncSession::update(const eth::BlockId& head) {
  note(HeadMoves{head.hash});
  return ask(SendForkchoice{{head, {}, {}}}, [this, head](const EngineAnswer& a) {
    note(HeadMoves{});
    return on_answer(head, a);
  });
}

Effect ElSyncSession::on_answer(const eth::BlockId& head, const EngineAnswer& a) {
  const Reaction r = react(a);
  if (r == Reaction::proceed) return read_back(head);
  if (r != Reaction::missing_state)
    return failed(Call::forkchoice_updated, a, head, Tries::until_known,
                  [this](Result x) { return end(std::move(x)); });
  const std::string why = absl::StrCat("it syncs to ", eth::to_string(target_), " by itself");
  note(StateChange{.status = {{contract::EngineStatus::syncing, why}}, .el_sync_to = target_.id()});
  return end_with(contract::Outcome::missing_state, why, target_.id());
}

Effect ElSyncSession::read_back(const eth::BlockId& head) {
  return ask(ReadLabels{}, [this, head](absl::StatusOr<contract::Labels> el) {
    if (!el.ok()) return end_with(contract::Outcome::engine_unavailable, std::string{el.status().message()}, head);
    memory_.shown = *el;
    memory_.heard = now();
    if (!el->unsafe || el->unsafe->number < target_.number) {
      return end_with(contract::Outcome::not_applied,
                      absl::StrCat("VALID, but its head is ", el->unsafe ? eth::to_string(*el->unsafe) : "not known"),
                      head);
    }
    return check_canonical(target_.id(), "the block to sync to", [this, el = *el](const absl::Status& st) {
      if (!st.ok()) return end_after_check(st, contract::Outcome::not_applied);
      // The EL got this chain from its peers: it must not contradict the confirmed finalized block.
      return check_confirmed_finalized({el.unsafe->id(), {}, target_.id()}, [this, el](const absl::Status& checked) {
        return checked.ok() ? done(el) : end_after_check(checked, contract::Outcome::contradicts_finalized);
      });
    });
  });
}

Effect ElSyncSession::end_after_check(const absl::Status& check, contract::Outcome refused) {
  return end_with(contract::refusal_of(check) ? refused : contract::Outcome::engine_unavailable,
                  std::string{check.message()}, target_.id());
}

Effect ElSyncSession::done(const contract::Labels& el) {
  memory_.moves = true;
  note(StateChange{.status = {{contract::EngineStatus::ready, {}}}, .labels = el, .el_sync_over = true});
  say(Log::Severity::info, "the EL has synced by itself",
      {{"target", eth::to_string(target_)}, {"head", eth::to_string(*el.unsafe)}});
  return end(Result{contract::Outcome::done, {}, target_.id(), el});
}

}  // namespace towline::driver
