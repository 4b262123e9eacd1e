#include "services/engine-driver/core/command_session.hpp"

#include <algorithm>

#include "libs/base/status.hpp"

namespace towline::driver {
namespace {

constexpr absl::Duration kSayYoungEvery = absl::Minutes(1);

bool writes(const Effect& e) {
  return std::holds_alternative<SendPayload>(e) || std::holds_alternative<SendForkchoice>(e) ||
         std::holds_alternative<SetHead>(e);
}

std::string text(const std::optional<eth::BlockId>& label) { return label ? eth::to_string(*label) : "-"; }

}  // namespace

void CommandSession::enter(absl::Time now, const contract::EngineState& engine) {
  now_ = now;
  engine_ = &engine;
  if (engine.engine_session == memory_.session) return;
  // Cleared at once and not with the next command, so that blocks called INVALID in this session stay in quarantine.
  memory_.session = engine.engine_session;
  memory_.quarantine.clear();
  memory_.moves = false;
  memory_.read_at = absl::InfinitePast();
}

Step CommandSession::start(absl::Time now, const contract::EngineState& engine) {
  enter(now, engine);
  return step(begin());
}

Step CommandSession::on(Event answer, absl::Time now, const contract::EngineState& engine) {
  enter(now, engine);
  // The continuation sets then_ again.
  const auto then = std::exchange(then_, nullptr);
  return step(then(answer));
}

Step CommandSession::step(Effect effect) {
  if (writes(effect)) memory_.read_at = absl::InfinitePast();
  engine_ = nullptr;
  return {std::exchange(notes_, {}), std::move(effect)};
}

void CommandSession::interrupt(Interrupt why) {
  if (interrupted_ != Interrupt::stopping) interrupted_ = why;
}

std::string CommandSession::why_interrupted() const {
  return interrupted_ == Interrupt::stopping ? "engine-driver is told to stop" : "cancelled by the caller";
}

Effect CommandSession::end(absl::StatusOr<Result> result) {
  auto r = contract::with_refusal(std::move(result));
  if (r.ok() && r->outcome == contract::Outcome::refused) {
    note(CountRefusal{*r->refusal});
    // A command based on an older view of the EL is routine: its sender tries again.
    say(r->refusal == contract::Refusal::head_moved ? Log::Severity::info : Log::Severity::warn, "command refused",
        {{"refusal", name(*r->refusal)}, {"why", r->reason}});
  }
  return End{std::move(r)};
}

Effect CommandSession::ended(contract::Outcome o, std::string reason, std::optional<eth::BlockId> block,
                             Then<Result> then) {
  return ask(ReadLabels{}, [this, r = Result{o, std::move(reason), block, {}},
                            then = std::move(then)](absl::StatusOr<contract::Labels> labels) mutable {
    if (labels.ok()) {
      r.labels = *labels;
      note(StateChange{.labels = *labels});
    }
    return then(std::move(r));
  });
}

Effect CommandSession::end_with(contract::Outcome o, std::string reason, std::optional<eth::BlockId> block) {
  return ended(o, std::move(reason), block, [this](Result r) { return end(std::move(r)); });
}

Effect CommandSession::admit(const contract::CommandStamp& c, Then<const contract::Labels&> then, Head head) {
  if (!contract::may_be_written_to(engine().status))
    return end(absl::UnavailableError(absl::StrCat("the EL may not be written to: ", engine().reason)));
  // Whatever the EL answers, an older term is refused from here on.
  const auto next = memory_.gate.take_term(c);
  if (!next.ok()) return end(next.status());
  return persist(*next, [this, c, head, taken = next->has_value(), then = std::move(then)](const absl::Status& saved) {
    if (!saved.ok()) return end(saved);
    if (taken) {
      note(StateChange{.kept = memory_.gate.state()});
      say(Log::Severity::info, "term taken", {{"authority", c.authority}, {"term", absl::StrCat(c.term)}});
    }
    note(Commanded{});
    memory_.late = std::max(absl::ZeroDuration(), c.chain_time - now_);
    // No EL restarts faster.
    if (now_ - memory_.read_at < options_.restart_takes) return admit_to(c, head, then);
    return ask(ReadLabels{}, [this, c, head, asked = now_, then](absl::StatusOr<contract::Labels> labels) {
      if (!labels.ok()) return end(labels.status());
      if (!labels->unsafe) return end(absl::UnavailableError("the EL's head is not known"));
      memory_.labels_read(*labels, asked, now_);
      return admit_to(c, head, then);
    });
  });
}

Effect CommandSession::admit_to(const contract::CommandStamp& c, Head head, const Then<const contract::Labels&>& then) {
  if (auto st = Gate::check_head(c, memory_.shown); head == Head::expected && !st.ok()) return end(st);
  return then(memory_.shown);
}

Effect CommandSession::persist(const Gate::ToSave& next, Then<absl::Status> then) {
  if (!next) return then(absl::OkStatus());
  return ask(Persist{*next}, [this, next = *next, then = std::move(then)](const absl::Status& saved) {
    if (saved.ok()) {
      memory_.gate.saved(next);
      return then(saved);
    }
    say(Log::Severity::error, "the state cannot be saved, nothing is written to the EL until it can",
        {{"why", saved.ToString()}});
    note(StateChange{.status = {{contract::EngineStatus::state_not_saved,
                                 absl::StrCat("engine-driver's own state cannot be saved: ", saved.message())}}});
    return then(absl::UnavailableError(saved.message()));
  });
}

Effect CommandSession::check_canonical(const eth::BlockId& id, const char* what, Then<absl::Status> then) {
  return ask(ReadBlock{id.number}, [id, what, then = std::move(then)](ReadBlock::Answer local) {
    if (!local.ok()) return then(local.status());
    if (*local && (*local)->hash == id.hash) return then(absl::OkStatus());
    return then(contract::refuse(contract::Refusal::not_canonical,
                                 absl::StrCat(what, " ", eth::to_string(id), " is not on the EL's chain")));
  });
}

bool CommandSession::hold_young(const contract::Labels& el, std::optional<eth::BlockId>& safe,
                                std::optional<eth::BlockId>& finalized) {
  const auto asked_safe = safe, asked_finalized = finalized;
  if (!memory_.min_age.hold(el, safe, finalized, chain_now())) return false;
  note(Count{Counter::young_labels});
  if (now_ - memory_.said_young < kSayYoungEvery) return true;
  memory_.said_young = now_;
  say(Log::Severity::warn,
      "a label waits: its block is younger than --safe.min-age or --finality.min-age; do the sources lie, or is the "
      "clock wrong?",
      {{"safe", text(asked_safe)}, {"finalized", text(asked_finalized)}});
  return true;
}

}  // namespace towline::driver
