// How a session writes to the EL: the part of CommandSession that sends, repeats and reads back.
#include <algorithm>

#include "libs/base/status.hpp"
#include "services/engine-driver/core/command_session.hpp"
#include "services/engine-driver/core/read_back.hpp"

namespace towline::driver {
namespace {

constexpr absl::Duration kLongestWait = absl::Seconds(2);
constexpr int kReadBackLooks = 3;
constexpr absl::Duration kReadBackWait = absl::Milliseconds(100);

}  // namespace

Effect CommandSession::send_payload(std::shared_ptr<const PreparedPayload> payload, Then<EngineAnswer> then) {
  Write w;
  w.send = SendPayload{std::move(payload)};
  w.then = std::move(then);
  return write(std::move(w));
}

Effect CommandSession::write(Write w) {
  write_ = std::move(w);
  write_.give_up = now_ + options_.give_up_after;
  // The EL may have been restarted while the import waited for its source, without a call that was lost.
  return now_ - memory_.heard >= options_.restart_takes ? look_before_write() : send_write();
}

Effect CommandSession::look_before_write() {
  return ask(ReadLabels{}, [this](absl::StatusOr<contract::Labels> labels) {
    if (labels.ok()) {
      memory_.heard = now_;
      if (auto known = after_loss(memory_.shown, write_.update ? &*write_.update : nullptr, *labels))
        return write_ended(*std::move(known));
      return send_write();
    }
    EngineAnswer a;
    if (absl::IsUnauthenticated(labels.status())) {
      a.kind = EngineAnswer::Kind::http;
      a.code = 401;
    }
    a.message = std::string{labels.status().message()};
    return on_write_answer(std::move(a));
  });
}

Effect CommandSession::send_write() {
  if (write_.sent) note(Count{Counter::retries});
  write_.sent = true;
  const auto answered = [this](EngineAnswer a) { return on_write_answer(std::move(a)); };
  if (const auto* payload = std::get_if<SendPayload>(&write_.send)) return ask(*payload, answered);
  return ask(std::get<SendForkchoice>(write_.send), answered);
}

Effect CommandSession::on_write_answer(EngineAnswer a) {
  if (react(a) != Reaction::retry) {
    memory_.heard = now_;
    return write_ended(std::move(a));
  }
  if (write_.tries == Tries::once || interrupted_ || now_ + write_.wait > write_.give_up)
    return write_ended(std::move(a));
  say(Log::Severity::warn, "engine call failed, trying again",
      {{"answer", describe(a)}, {"in_ms", absl::StrCat(absl::ToInt64Milliseconds(write_.wait))}});
  const absl::Duration wait = write_.wait;
  write_.wait = std::min(wait * 2, kLongestWait);
  return ask(WaitFor{wait}, [this](Done) { return look_before_write(); });
}

Effect CommandSession::write_ended(EngineAnswer a) {
  // The continuation may start the next write.
  const auto then = std::exchange(write_.then, nullptr);
  return then(std::move(a));
}

Effect CommandSession::failed(Call call, const EngineAnswer& a, const eth::BlockId& block, Tries tries,
                              Then<Result> then) {
  const std::string said = absl::StrCat(call == Call::new_payload ? "newPayload " : "forkchoiceUpdated ",
                                        eth::to_string(block), ": ", describe(a));
  const auto set_status = [&](contract::EngineStatus status) { note(StateChange{.status = {{status, said}}}); };
  const auto ends = [&](contract::Outcome o) { return ended(o, said, block, std::move(then)); };
  switch (react(a)) {
    case Reaction::missing_state:
      set_status(contract::EngineStatus::syncing);
      return ends(contract::Outcome::missing_state);
    case Reaction::invalid:
      set_status(contract::EngineStatus::invalid);
      memory_.quarantine.add(block.hash, now_);
      say(Log::Severity::error, "the EL calls a block INVALID",
          {{"block", eth::to_string(block)}, {"answer", describe(a)}});
      return ends(contract::Outcome::invalid);
    case Reaction::not_applied: return ends(contract::Outcome::not_applied);
    case Reaction::unsupported:
      say(Log::Severity::error,
          "the EL does not take this call: wrong fork times in the rollup config, or an EL that is too old",
          {{"answer", said}});
      return ends(contract::Outcome::unsupported);
    case Reaction::auth_failed:
      set_status(contract::EngineStatus::auth_failed);
      return ends(contract::Outcome::engine_unavailable);
    case Reaction::start_over:
      say(Log::Severity::warn, "the EL came back as another one while it was written to", {{"answer", said}});
      // Everything known about the EL is void now; engine_poller may not have noticed the restart.
      note(StateChange{.new_session = true});
      return ends(contract::Outcome::engine_unavailable);
    case Reaction::retry:
    case Reaction::proceed: break;
  }
  if (tries == Tries::once || interrupted_)
    return ended(contract::Outcome::cancelled, why_interrupted(), block, std::move(then));
  return ends(contract::Outcome::engine_unavailable);
}

Effect CommandSession::check_confirmed_finalized(const contract::Forkchoice& f, Then<absl::Status> then) {
  const auto& confirmed_finalized = memory_.gate.state().confirmed_finalized;
  if (!confirmed_finalized || !f.finalized || *confirmed_finalized == *f.finalized) return then(absl::OkStatus());
  return ask(ReadBlock{confirmed_finalized->number}, [this, confirmed_finalized = *confirmed_finalized,
                                                      then = std::move(then)](ReadBlock::Answer there) {
    if (!there.ok()) return then(there.status());
    const absl::Status st = compare_confirmed_finalized(confirmed_finalized, *there);
    if (!st.ok()) {
      say(Log::Severity::error, "the EL is beside the confirmed finalized block", {{"why", st.ToString()}});
      note(StateChange{.status = {{contract::EngineStatus::contradicts_finalized, std::string{st.message()}}}});
    }
    return then(st);
  });
}

Effect CommandSession::update(const contract::Forkchoice& f, Tries tries, Then<std::optional<Result>> then) {
  if (!contract::may_be_written_to(engine().status))
    return ended(contract::Outcome::engine_unavailable, engine().reason, f.head, std::move(then));
  // The update would move such an EL further along a chain that contradicts the confirmed finalized block.
  return check_confirmed_finalized(f, [this, f, tries, then = std::move(then)](const absl::Status& st) {
    if (st.ok()) return send_update(f, tries, then);
    const auto outcome =
        contract::refusal_of(st) ? contract::Outcome::contradicts_finalized : contract::Outcome::engine_unavailable;
    return ended(outcome, std::string{st.message()}, f.head, then);
  });
}

Effect CommandSession::send_update(const contract::Forkchoice& f, Tries tries, Then<std::optional<Result>> then) {
  note(HeadMoves{f.head.hash});
  const Then<std::optional<Result>> rests = [this, then = std::move(then)](std::optional<Result> bad) {
    note(HeadMoves{});
    return then(std::move(bad));
  };
  Write w;
  w.send = SendForkchoice{f};
  w.update = f;
  w.tries = tries;
  w.then = [this, f, tries, head_before = memory_.shown.unsafe, rests](EngineAnswer a) {
    if (react(a) != Reaction::proceed) return failed(Call::forkchoice_updated, a, f.head, tries, rests);
    return read_back(f, 1, head_before, rests);
  };
  return write(std::move(w));
}

Effect CommandSession::read_back(const contract::Forkchoice& f, int look,
                                 const std::optional<eth::BlockRef>& head_before, Then<std::optional<Result>> then) {
  return ask(ReadLabels{}, [this, f, look, head_before, asked = now_,
                            then = std::move(then)](absl::StatusOr<contract::Labels> labels) {
    if (!labels.ok())
      return ended(contract::Outcome::engine_unavailable, std::string{labels.status().message()}, f.head, then);
    // The labels may lag shortly behind the answer.
    if (look < kReadBackLooks && !difference(f, *labels).empty()) {
      return ask(WaitFor{kReadBackWait},
                 [this, f, look, head_before, then](Done) { return read_back(f, look + 1, head_before, then); });
    }
    memory_.labels_read(*labels, asked, now_);
    return on_read_back(f, head_before, then);
  });
}

Effect CommandSession::on_read_back(const contract::Forkchoice& f, const std::optional<eth::BlockRef>& head_before,
                                    const Then<std::optional<Result>>& then) {
  const contract::Labels& shown = memory_.shown;
  const std::string wrong = difference(f, shown);
  if (wrong.empty() && head_before && head_before->hash != f.head.hash) memory_.moves = true;
  Gate::ToSave confirmed_finalized;
  if (wrong.empty() && f.finalized && memory_.min_age.may_confirm(f.head, chain_now()))
    confirmed_finalized = memory_.gate.confirm_finalized(*f.finalized);
  return persist(confirmed_finalized, [this, f, shown, wrong, then](const absl::Status& saved) {
    if (!saved.ok()) return ended(contract::Outcome::engine_unavailable, std::string{saved.message()}, f.head, then);
    note(StateChange{.status = {{contract::EngineStatus::ready, {}}}, .labels = shown, .kept = memory_.gate.state()});
    if (wrong.empty()) return then(std::nullopt);
    return then(Result{contract::Outcome::not_applied, absl::StrCat("VALID, but ", wrong), f.head, shown});
  });
}

Effect CommandSession::rewind(const eth::BlockRef& from, const eth::BlockId& to, Then<absl::Status> then) {
  note(HeadMoves{});
  say(Log::Severity::warn, "rewinding the EL", {{"from", eth::to_string(from)}, {"to", eth::to_string(to)}});
  note(Count{Counter::rewinds});
  return ask(SetHead{to.number}, [this, then = std::move(then)](absl::Status st) {
    note(HeadMoves{});
    const bool unknown = absl::IsUnavailable(st) || absl::IsDeadlineExceeded(st) || absl::IsCancelled(st);
    return then(unknown ? absl::OkStatus() : st);
  });
}

}  // namespace towline::driver
