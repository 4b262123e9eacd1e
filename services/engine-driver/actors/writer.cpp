#include "services/engine-driver/actors/writer.hpp"

#include <algorithm>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/actor_time.hpp"
#include "libs/actor_kit/guard.hpp"
#include "libs/base/steady_time.hpp"
#include "libs/telemetry/log.hpp"
#include "services/engine-driver/core/el_sync_session.hpp"
#include "services/engine-driver/core/forkchoice_session.hpp"
#include "services/engine-driver/core/import_session.hpp"
#include "services/engine-driver/core/rewind_session.hpp"

namespace towline::driver {
namespace {

/// How long a session waits for a payload before it continues without one.
constexpr absl::Duration kLook = absl::Milliseconds(100);

const char* const kCounters[][2] = {
    {"towline_driver_blocks_imported_total", "Blocks that the EL answered VALID for."},
    {"towline_driver_gas_imported_total", "Gas of those blocks."},
    {"towline_driver_broken_links_total", "Payloads of the source that did not continue the chain."},
    {"towline_driver_engine_retries_total", "Engine calls sent again because their outcome was not known."},
    {"towline_driver_twins_total",
     "Twins of blocks that the EL kept when it was killed: it had to build them so that it moves on."},
    {"towline_driver_rewinds_total", "debug_setHead calls."},
    {"towline_driver_young_labels_total", "Commands of which a label was left out because its block is too young."},
};
static_assert(std::size(kCounters) == static_cast<std::size_t>(Counter::young_labels) + 1);

Metrics::Counter counter(Metrics& metrics, contract::Refusal r) {
  return metrics.counter("towline_driver_refused_total", "Commands that the gate refused.", {{"reason", name(r)}});
}

absl::Status told_to_stop() { return absl::CancelledError("engine-driver is told to stop"); }

}  // namespace

writer_impl::behavior_type writer_state::make_behavior(WriterConfig config) {
  config_.emplace(std::move(config));
  memory_.emplace(Memory{config_->gate, config_->min_age});
  view_.emplace(config_->first, steady_now());
  // All counters exist from the start: an increase() over a counter misses the increment that creates it.
  for (const contract::Refusal r : contract::kRefusals) counter(*config_->metrics, r);
  for (const auto& [counter_name, help] : kCounters) counters_.push_back(config_->metrics->counter(counter_name, help));
  return {[this](run_atom, const CommandPtr& c) { on_command(c); },
          [this](cancel_atom, const CommandPtr& c) { on_cancel(c); },
          [this](plan_atom) -> LookPlanPtr {
            LookPlan plan = view_->plan();
            plan.next_in = view_->next_look(steady_now());
            return std::make_shared<const LookPlan>(std::move(plan));
          },
          [this](look_atom, const LookPtr& look) { on_look(*look); },
          [this](replicas_atom, const ReplicasPtr& replicas) {
            view_->on(*replicas);
            changed_ = true;
            publish();
          },
          [this](stop_atom) { stop(); },
          [this](tick_atom) {
            wait_watched_ = false;
            if (!session_ || waits_ != Waits::for_payload) return;
            if (actor_now(self_) < payload_due_) watch_wait();
            else on_answer(NextPayload::Answer{std::nullopt});
          },
          [this](tick_atom, std::uint64_t question) {
            if (session_ && question == question_) on_answer(Done{});
          },
          [this](payload_atom, std::uint64_t stream, const PayloadPtr& payload) {
            if (stream != stream_number_) return;
            asked_ = false;
            early_ = std::move(*payload);
            if (session_ && waits_ == Waits::for_payload) on_answer(*std::exchange(early_, std::nullopt));
          }};
}

void writer_state::on_command(const CommandPtr& c) {
  if (stopping_) return c->on_done(told_to_stop());
  if (queue_.size() >= kMostWaiting)
    return c->on_done(absl::ResourceExhaustedError("too many commands wait for this EL"));
  queue_.push_back(c);
  if (!running_) return begin_next();
  // A command with a newer term does not wait for an import or an EL sync of an older one. A command that the gate will
  // refuse ends nothing.
  const auto outdated = [&](const CommandPtr& older) {
    return (std::holds_alternative<contract::ImportRange>(older->what) ||
            std::holds_alternative<contract::StartElSync>(older->what)) &&
           older->stamp.term < c->stamp.term;
  };
  if (std::holds_alternative<LowerFinalized>(c->what) || !check_term(c->stamp, memory_->gate.state()).ok()) return;
  if (outdated(running_)) interrupt(Interrupt::cancelled);
  std::vector<CommandPtr> over;
  std::copy_if(queue_.begin(), queue_.end(), std::back_inserter(over), outdated);
  for (const CommandPtr& older : over) on_cancel(older);
}

void writer_state::on_cancel(const CommandPtr& c) {
  if (std::holds_alternative<RewindTo>(c->what) || std::holds_alternative<LowerFinalized>(c->what)) return;
  if (c == running_) return interrupt(Interrupt::cancelled);
  if (std::erase(queue_, c) != 0) c->on_done(absl::CancelledError("cancelled before it began"));
}

void writer_state::stop() {
  stopping_ = true;
  for (const CommandPtr& c : std::exchange(queue_, {})) c->on_done(told_to_stop());
  interrupt(Interrupt::stopping);
}

void writer_state::on_look(const Look& look) {
  // While the process stops, looks fail for that reason alone.
  if (stopping_) return;
  if (!session_ && !look.failure && !view_->overtaken(look)) memory_->labels_read(*look.labels, look.began, look.began);
  const auto news = view_->on_look(look, steady_now());
  changed_ = true;
  if (news == EngineView::News::lost) {
    log::warn("the EL cannot be used", {log::kv("why", view_->state().reason)});
  } else if (news == EngineView::News::met) {
    log::info("the EL is there", {log::kv("client", look.client_version), log::kv("head", look.labels->unsafe->id())});
  }
  publish();
}

std::unique_ptr<CommandSession> writer_state::session_of(const Command& c) {
  struct Maker {
    const SessionOptions& options;
    Memory& memory;
    const contract::CommandStamp& stamp;
    std::unique_ptr<CommandSession> operator()(const contract::ImportRange& range) const {
      return std::make_unique<ImportSession>(options, memory, stamp, range);
    }
    std::unique_ptr<CommandSession> operator()(const contract::Forkchoice& f) const {
      return std::make_unique<ForkchoiceSession>(options, memory, stamp, f);
    }
    std::unique_ptr<CommandSession> operator()(const contract::StartElSync& s) const {
      return std::make_unique<ElSyncSession>(options, memory, stamp, s);
    }
    std::unique_ptr<CommandSession> operator()(const RewindTo& r) const {
      return std::make_unique<RewindSession>(options, memory, stamp, r.block);
    }
    std::unique_ptr<CommandSession> operator()(const LowerFinalized& l) const {
      return std::make_unique<LowerFinalizedSession>(options, memory, l.was, l.to, l.reason);
    }
  };
  return std::visit(Maker{config_->options, *memory_, c.stamp}, c.what);
}

void writer_state::begin_next() {
  while (!running_ && !queue_.empty()) {
    running_ = queue_.front();
    queue_.pop_front();
    session_ = session_of(*running_);
    go_on(session_->start(steady_now(), view_->state()));
  }
}

void writer_state::go_on(Step step) {
  while (true) {
    for (const Note& n : step.notes) std::visit([this](const auto& x) { note(x); }, n);
    ++question_;
    waits_ = Waits::for_answer;
    if (auto* end = std::get_if<End>(&step.effect)) {
      publish();
      return finish(std::move(end->result));
    }
    std::optional<Event> answer = std::visit([this](const auto& effect) { return carry_out(effect); }, step.effect);
    // After the effect, because the EL is to have its call first.
    publish();
    if (!answer) return;
    step = session_->on(*std::move(answer), steady_now(), view_->state());
  }
}

void writer_state::on_answer(Event answer) {
  go_on(session_->on(std::move(answer), steady_now(), view_->state()));
  begin_next();
}

void writer_state::interrupt(Interrupt why) {
  if (!session_) return;
  session_->interrupt(why);
  if (waits_ == Waits::for_payload) on_answer(NextPayload::Answer{std::nullopt});
  else if (waits_ == Waits::for_time) on_answer(Done{});
}

void writer_state::finish(absl::StatusOr<contract::CommandResult> result) {
  close_stream();
  session_.reset();
  std::exchange(running_, nullptr)->on_done(std::move(result));
}

void writer_state::close_stream() {
  stream_.reset();
  ++stream_number_;
  asked_ = false;
  early_.reset();
}

std::optional<Event> writer_state::carry_out(const OpenPayloads& e) {
  close_stream();
  stream_ = config_->open_stream(e);
  return Done{};
}

std::optional<Event> writer_state::carry_out(const NextPayload&) {
  if (early_) return *std::exchange(early_, std::nullopt);
  if (!std::exchange(asked_, true)) {
    stream_->next([me = writer_impl{self_}, number = stream_number_](NextPayload::Answer a) {
      caf::anon_send(me, payload_atom{}, number, std::make_shared<NextPayload::Answer>(std::move(a)));
    });
  }
  waits_ = Waits::for_payload;
  payload_due_ = actor_now(self_) + kLook;
  watch_wait();
  return std::nullopt;
}

std::optional<Event> writer_state::carry_out(const WaitFor& e) {
  waits_ = Waits::for_time;
  self_->delayed_send(self_, absl::ToChronoMilliseconds(e.time), tick_atom{}, question_);
  return std::nullopt;
}

std::optional<Event> writer_state::carry_out(const Persist& e) {
  self_->request(config_->store, caf::infinite, save_atom{}, std::make_shared<const Persistent>(e.state))
      .then([this](const StatusPtr& st) { on_answer(*st); },
            [](const caf::error& why) { end_process("state_store", to_string(why)); });
  return std::nullopt;
}

std::optional<Event> writer_state::ask_engine(Effect e) {
  self_->request(config_->engine, caf::infinite, call_atom{}, std::make_shared<const Effect>(std::move(e)))
      .then([this](const EventPtr& answer) { on_answer(std::move(*answer)); },
            [](const caf::error& why) { end_process("engine", to_string(why)); });
  return std::nullopt;
}

void writer_state::watch_wait() {
  if (std::exchange(wait_watched_, true)) return;
  self_->delayed_send(self_, timer_until(payload_due_, actor_now(self_)), tick_atom{});
}

void writer_state::note(const StateChange& change) {
  view_->on(change);
  changed_ = true;
  if (change.progress && running_->on_progress) running_->on_progress(*change.progress);
}

void writer_state::note(const Log& line) {
  static constexpr log::Level kLevels[] = {log::Level::info, log::Level::warn, log::Level::error};
  std::vector<log::Field> fields;
  for (const auto& [key, value] : line.fields) fields.push_back(log::kv(key, value));
  log::write(kLevels[static_cast<int>(line.severity)], line.message, fields);
}

void writer_state::note(const Count& c) { counters_[static_cast<std::size_t>(c.counter)].inc(c.by); }
void writer_state::note(const CountRefusal& c) { counter(*config_->metrics, c.refusal).inc(); }
void writer_state::note(const Commanded& c) {
  // Nobody is told of this alone, while a new block is on its way to the EL: the next look tells it.
  view_->on(c, steady_now(), std::holds_alternative<contract::ImportRange>(running_->what));
}
void writer_state::note(const HeadMoves& m) { view_->on(m); }

void writer_state::publish() {
  if (!std::exchange(changed_, false)) return;
  self_->send(config_->hub, state_atom{}, std::make_shared<const Shown>(Shown{view_->state(), view_->commanded()}));
}

writer_impl::behavior_type writer(writer_impl::stateful_pointer<writer_state> self, WriterConfig config) {
  guard(static_cast<writer_impl::pointer>(self), "writer");
  return self->state.make_behavior(std::move(config));
}

}  // namespace towline::driver
