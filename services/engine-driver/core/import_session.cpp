#include "services/engine-driver/core/import_session.hpp"

#include "services/engine-driver/core/read_back.hpp"

namespace towline::driver {
namespace {

constexpr int kStreamTries = 5;
constexpr absl::Duration kStreamWait = absl::Milliseconds(100);
constexpr absl::Duration kProgressEvery = absl::Milliseconds(250);

bool is(const eth::BlockId& id, const std::optional<eth::BlockRef>& known) { return known && known->hash == id.hash; }

}  // namespace

Effect ImportSession::begin() {
  if (range_.tip.number <= range_.parent.number) return end(absl::InvalidArgumentError("an empty range"));
  // The payloads are fetched while the gate reads the EL's labels: this shortens the way of a block at the tip.
  return ask(OpenPayloads{range_.parent, range_.tip, range_.origin},
             [this](Done) { return admit(command_, [this](const contract::Labels& el) { return on_admitted(el); }); });
}

Effect ImportSession::on_admitted(const contract::Labels& el) {
  el_ = el;
  if (range_.parent.hash == el.unsafe->hash) return on_parent();
  return check_canonical(range_.parent, "parent", [this](const absl::Status& st) {
    if (!st.ok()) return end(st);
    if (const auto& confirmed_finalized = memory_.gate.state().confirmed_finalized;
        confirmed_finalized && range_.parent.number < confirmed_finalized->number &&
        el_.unsafe->number >= confirmed_finalized->number) {
      return end(contract::refuse(contract::Refusal::below_finalized,
                                  absl::StrCat("a branch from ", eth::to_string(range_.parent), " would replace ",
                                               eth::to_string(*confirmed_finalized))));
    }
    return ask(ReadBlock{range_.parent.number + 1}, [this](ReadBlock::Answer above) {
      if (!above.ok()) return end(above.status());
      if (*above) ours_above_parent_ = (*above)->hash;
      return on_parent();
    });
  });
}

Effect ImportSession::on_parent() {
  hold_young(el_, range_.safe, range_.finalized);
  return keep_if_canonical(&contract::ImportRange::safe, "safe", [this] {
    return keep_if_canonical(&contract::ImportRange::finalized, "finalized", [this] { return run(); });
  });
}

Effect ImportSession::keep_if_canonical(std::optional<eth::BlockId> contract::ImportRange::*label, const char* what,
                                        const std::function<Effect()>& then) {
  const auto& id = range_.*label;
  if (!id || id->number > range_.parent.number) return then();
  if (is(*id, el_.unsafe) || is(*id, el_.safe) || is(*id, el_.finalized)) return then();
  return check_canonical(*id, what, [this, label, then](const absl::Status& st) {
    if (st.ok()) return then();
    if (contract::refusal_of(st) != contract::Refusal::not_canonical) return end(st);
    say(Log::Severity::warn, "label left out", {{"why", st.ToString()}});
    (range_.*label).reset();
    return then();
  });
}

Effect ImportSession::run() {
  plan_.emplace(range_, options_.forkchoice_every, el_, memory_.gate.state().confirmed_finalized, ours_above_parent_);
  progress_.imported = range_.parent;
  progress_.tip = range_.tip;
  started_ = told_ = now();
  if (engine().el_sync) note(StateChange{.el_sync_over = true});
  return next();
}

Effect ImportSession::next() {
  if (plan_->done()) return over(Result{contract::Outcome::done, {}, {}, memory_.shown});
  if (interrupted()) return leave_with(contract::Outcome::cancelled, why_interrupted());
  if (now() - told_ >= kProgressEvery) tell();
  return ask(NextPayload{}, [this](NextPayload::Answer got) {
    if (!got.ok()) return on_broken_stream(got.status());
    if (!*got) return next();
    return on_payload(std::make_shared<const PreparedPayload>(**std::move(got)));
  });
}

Effect ImportSession::on_broken_stream(const absl::Status& why) {
  if (absl::IsFailedPrecondition(why) || absl::IsNotFound(why))
    return leave_with(contract::Outcome::source_reorged, std::string{why.message()});
  // Payloads that p2p-gossip does not serve at once come from the remote nodes.
  if (range_.from_gossip() || ++stream_tries_ > kStreamTries || absl::IsInvalidArgument(why))
    return leave_with(contract::Outcome::source_unavailable, absl::StrCat("payload source: ", why.message()));
  say(Log::Severity::warn, "payload stream broke, opening it again",
      {{"after", eth::to_string(plan_->last())}, {"why", why.ToString()}});
  return ask(WaitFor{kStreamWait * stream_tries_}, [this](Done) {
    return ask(OpenPayloads{plan_->last(), range_.tip, range_.origin}, [this](Done) { return next(); });
  });
}

Effect ImportSession::on_payload(Payload payload) {
  const eth::BlockId id = payload->ref.id();
  if (auto st = plan_->check(payload->ref); !st.ok()) {
    note(Count{Counter::broken_links});
    return leave_with(contract::Outcome::source_reorged, std::string{st.message()}, id);
  }
  // `refused` follows from the payload itself, so the block needs no quarantine.
  if (!payload->refused.ok()) {
    say(Log::Severity::error, "a block is kept from the EL",
        {{"block", eth::to_string(id)}, {"why", payload->refused.ToString()}});
    return leave_with(contract::Outcome::invalid,
                      absl::StrCat("block ", eth::to_string(id), " is kept from the EL: ", payload->refused.message()),
                      id);
  }
  if (memory_.quarantine.holds(payload->ref.hash, now())) {
    return leave_with(contract::Outcome::invalid,
                      absl::StrCat("block ", eth::to_string(id), " is quarantined: the EL called it INVALID"), id);
  }
  return send_payload(payload, [this, payload](const EngineAnswer& a) { return on_answer(payload, a); });
}

Effect ImportSession::on_answer(const Payload& payload, const EngineAnswer& a) {
  switch (react(a)) {
    case Reaction::proceed: return on_valid(payload);
    case Reaction::missing_state: return on_missing_state(payload, a);
    default: break;
  }
  return failed(Call::new_payload, a, payload->ref.id(), Tries::until_known,
                [this](Result r) { return leave(std::move(r)); });
}

Effect ImportSession::on_missing_state(const Payload& payload, const EngineAnswer& a) {
  const auto ends = [this, payload, a] {
    return failed(Call::new_payload, a, payload->ref.id(), Tries::until_known,
                  [this](Result r) { return leave(std::move(r)); });
  };
  const auto f = plan_->finish_early();
  if (!f || was_led_) return ends();
  return update({f->head, {}, {}}, Tries::until_known, [this, ends](const std::optional<Result>& bad) {
    if (!stayed(bad)) return ends();
    return needs_twins([this, ends](bool yes) { return yes ? lead_from_the_start() : ends(); });
  });
}

Effect ImportSession::on_valid(const Payload& payload) {
  if (!leading_) return count(*payload);
  return lead_through_twin(payload, [this, payload](const absl::StatusOr<bool>& moved) {
    if (!moved.ok()) {
      say(Log::Severity::warn, "the EL cannot be led through twins",
          {{"block", eth::to_string(payload->ref)}, {"why", moved.status().ToString()}});
      return leave_with(contract::Outcome::missing_state, std::string{moved.status().message()}, payload->ref.id());
    }
    leading_ = !*moved;
    return count(*payload);
  });
}

Effect ImportSession::count(const PreparedPayload& payload) {
  stream_tries_ = 0;
  rates_.add(now(), payload.gas_used);
  note(Count{Counter::blocks});
  note(Count{Counter::gas, static_cast<double>(payload.gas_used)});
  const eth::BlockId id = payload.ref.id();
  progress_.imported = id;
  ++progress_.blocks;
  progress_.transactions += payload.transactions;
  progress_.gas_used += payload.gas_used;
  progress_.bytes += payload.body.size();
  if (const auto f = plan_->on_valid(payload.ref); f && (!leading_ || plan_->done())) return move_head(*f, id);
  return after_update(id);
}

Effect ImportSession::after_update(const eth::BlockId& imported) {
  if (!plan_->contradicts_finalized()) return next();
  return leave_with(contract::Outcome::contradicts_finalized,
                    absl::StrCat("the chain has another block than the confirmed finalized block ",
                                 eth::to_string(*memory_.gate.state().confirmed_finalized)),
                    imported);
}

contract::Forkchoice ImportSession::checked(contract::Forkchoice f) {
  if (auto st = memory_.gate.check_labels(f.head, f.safe, f.finalized, el_); !st.ok()) {
    say(Log::Severity::warn, "labels left out of an update", {{"why", st.ToString()}});
    f.safe.reset();
    f.finalized.reset();
  }
  return f;
}

Effect ImportSession::move_head(const contract::Forkchoice& f, const eth::BlockId& imported) {
  const contract::Forkchoice wanted = checked(f);
  return update(wanted, Tries::until_known, [this, wanted, imported](std::optional<Result> bad) {
    return on_moved(wanted, imported, std::move(bad));
  });
}

Effect ImportSession::on_moved(const contract::Forkchoice& f, const eth::BlockId& imported, std::optional<Result> bad) {
  if (!bad) {
    tell();
    return after_update(imported);
  }
  if (was_led_ || !stayed(bad)) return leave(*std::move(bad));
  return needs_twins([this, f, imported, bad = *std::move(bad)](bool yes) {
    if (yes) return lead_from_the_start();
    if (memory_.shown.unsafe->hash != f.head.hash) return leave(bad);
    // The EL merely showed its head late.
    return update(f, Tries::until_known, [this, imported](std::optional<Result> again) {
      return again ? leave(*std::move(again)) : after_update(imported);
    });
  });
}

Effect ImportSession::leave_with(contract::Outcome o, std::string reason, std::optional<eth::BlockId> block) {
  return ended(o, std::move(reason), block, [this](Result r) { return leave(std::move(r)); });
}

Effect ImportSession::leave(Result r) {
  // Not for an EL that was restarted as another one.
  const bool as_before = r.labels.unsafe && !after_loss(memory_.shown, nullptr, r.labels);
  const auto f = plan_->finish_early();
  if (!f || !as_before) return over(std::move(r));
  return update(checked(*f), Tries::once, [this, r = std::move(r)](const std::optional<Result>& bad) mutable {
    if (!bad) r.labels = memory_.shown;
    return over(std::move(r));
  });
}

Effect ImportSession::over(Result r) {
  tell();
  note(StateChange{.import_ended = true});
  return end(std::move(r));
}

void ImportSession::tell() {
  progress_.elapsed_s = absl::ToDoubleSeconds(now() - started_);
  progress_.blocks_per_s = rates_.blocks_per_s(now());
  progress_.mgas_per_s = rates_.mgas_per_s(now());
  told_ = now();
  note(StateChange{.progress = progress_});
}

}  // namespace towline::driver
