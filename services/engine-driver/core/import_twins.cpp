// How an import leads an op-geth that does not move onto blocks that it already has: the part of ImportSession that
// uses twins.
#include "services/engine-driver/core/import_session.hpp"

namespace towline::driver {
namespace {

constexpr absl::Duration kLookAgain = absl::Milliseconds(250);

absl::Status proceeds(const EngineAnswer& a, const char* what) {
  return react(a) == Reaction::proceed ? absl::OkStatus()
                                       : absl::FailedPreconditionError(absl::StrCat(what, ": ", describe(a)));
}

}  // namespace

bool ImportSession::stayed(const std::optional<Result>& update) const {
  return update && update->outcome == contract::Outcome::not_applied && update->labels.unsafe &&
         update->labels.unsafe->hash == el_.unsafe->hash;
}

Effect ImportSession::needs_twins(Then<bool> then) {
  if (!options_.twins || memory_.moves || !is_op_geth(engine().client_version)) return then(false);
  return look_for_twins(TwinNeed{now()}, std::move(then));
}

Effect ImportSession::look_for_twins(TwinNeed need, Then<bool> then) {
  if (interrupted()) return then(false);
  return ask(ReadLabels{}, [this, need, then = std::move(then)](absl::StatusOr<contract::Labels> labels) {
    if (!labels.ok()) return then(false);
    memory_.shown = *labels;
    const eth::BlockRef head = *labels->unsafe;
    if (head.hash != el_.unsafe->hash) return then(false);
    return ask(ReadBlock{head.number + 1}, [this, need, head, then](ReadBlock::Answer above) mutable {
      if (!above.ok()) return then(false);
      switch (need.on_look(head.hash, *above ? std::optional{(*above)->hash} : std::nullopt, now())) {
        case TwinNeed::Look::lead: return then(true);
        case TwinNeed::Look::not_needed: return then(false);
        case TwinNeed::Look::wait: break;
      }
      return ask(WaitFor{kLookAgain}, [this, need, then](Done) { return look_for_twins(need, then); });
    });
  });
}

Effect ImportSession::lead_from_the_start() {
  say(Log::Severity::warn,
      "the EL does not move onto blocks that it has, as op-geth does when it was killed: leading it through twins",
      {{"head", eth::to_string(*el_.unsafe)}, {"after", eth::to_string(range_.parent)}});
  was_led_ = leading_ = true;
  plan_.emplace(range_, options_.forkchoice_every, el_, memory_.gate.state().confirmed_finalized);
  return ask(OpenPayloads{range_.parent, range_.tip, range_.origin}, [this](Done) { return next(); });
}

Effect ImportSession::lead_through_twin(const Payload& payload, Then<absl::StatusOr<bool>> then) {
  note(Count{Counter::twins});
  note(HeadMoves{});
  const Then<absl::StatusOr<bool>> rests = [this, then = std::move(then)](absl::StatusOr<bool> moved) {
    note(HeadMoves{});
    return then(std::move(moved));
  };
  const auto plan = plan_twin(payload->body);
  if (!plan.ok()) return rests(plan.status());
  return ask(BuildTwin{{payload->ref.number - 1, payload->ref.parent_hash}, *plan},
             [this, payload, plan = *plan, rests](const absl::StatusOr<std::string>& built) {
               if (!built.ok()) return rests(built.status());
               auto twin = read_twin(plan, *built);
               if (!twin.ok()) return rests(twin.status());
               return send_twin(payload, *std::move(twin), rests);
             });
}

Effect ImportSession::send_twin(const Payload& payload, Twin twin, Then<absl::StatusOr<bool>> then) {
  auto body = std::make_shared<PreparedPayload>();
  body->ref = payload->ref;
  body->ref.hash = twin.hash;
  body->body = std::move(twin.new_payload);
  return ask(SendPayload{std::move(body)},
             [this, payload, hash = twin.hash, then = std::move(then)](const EngineAnswer& a) {
               if (auto st = proceeds(a, "newPayload of a twin"); !st.ok()) return then(st);
               return move_through_twin(payload, hash, then);
             });
}

Effect ImportSession::move_through_twin(const Payload& payload, const Hash32& twin, Then<absl::StatusOr<bool>> then) {
  return ask(SendForkchoice{{{payload->ref.number, twin}, {}, {}}}, [this, payload, then = std::move(then)](
                                                                        const EngineAnswer& onto_twin) {
    if (auto st = proceeds(onto_twin, "forkchoiceUpdated to a twin"); !st.ok()) return then(st);
    return ask(SendForkchoice{{payload->ref.id(), {}, {}}}, [this, payload, then](const EngineAnswer& onto_block) {
      if (auto st = proceeds(onto_block, "forkchoiceUpdated after a twin"); !st.ok()) return then(st);
      return ask(ReadLabels{}, [this, payload, then](absl::StatusOr<contract::Labels> labels) {
        if (!labels.ok()) return then(labels.status());
        memory_.shown = *labels;
        memory_.heard = now();
        return then(labels->unsafe->hash == payload->ref.hash);
      });
    });
  });
}

}  // namespace towline::driver
