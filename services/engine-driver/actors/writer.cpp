#include "services/engine-driver/actors/writer.hpp"

#include <absl/time/clock.h>

#include <algorithm>

#include "libs/base/steady_time.hpp"
#include "libs/telemetry/log.hpp"
#include "services/engine-driver/core/forkchoice_session.hpp"
#include "services/engine-driver/core/import_session.hpp"
#include "services/engine-driver/core/rewind_session.hpp"

namespace towline::driver {
namespace {

/// How soon an interrupt is seen while nothing comes.
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

}  // namespace

/// Carries out the notes and effects of one session.
class Writer::Runner {
 public:
  Runner(Writer& writer, CommandSession& session, const Cancelled& cancelled, const OnProgress& on_progress)
      : w_{writer}, session_{session}, cancelled_{cancelled}, on_progress_{on_progress} {}

  absl::StatusOr<contract::CommandResult> run() {
    Step step = session_.start(steady_now(), w_.board_.get());
    while (true) {
      for (const Note& n : step.notes) std::visit([this](const auto& note) { carry_out(note); }, n);
      if (auto* end = std::get_if<End>(&step.effect)) return std::move(end->result);
      Event answer = std::visit([this](auto& effect) -> Event { return carry_out(effect); }, step.effect);
      interrupt();
      step = session_.on(std::move(answer), steady_now(), w_.board_.get());
    }
  }

 private:
  /// True: the command is to end.
  bool interrupt() {
    if (w_.board_.stopped()) session_.interrupt(Interrupt::stopping);
    else if (cancelled_()) session_.interrupt(Interrupt::cancelled);
    else return false;
    return true;
  }

  void carry_out(const StateChange& change) {
    w_.board_.update([&](contract::EngineState& s) { apply(change, s); });
    if (change.progress) on_progress_(*change.progress);
  }
  void carry_out(const Log& line) {
    static constexpr log::Level kLevels[] = {log::Level::info, log::Level::warn, log::Level::error};
    std::vector<log::Field> fields;
    for (const auto& [key, value] : line.fields) fields.push_back(log::kv(key, value));
    log::write(kLevels[static_cast<int>(line.severity)], line.message, fields);
  }
  void carry_out(const Count& c) { w_.counters_[static_cast<std::size_t>(c.counter)].inc(c.by); }
  void carry_out(const CountRefusal& c) { counter(w_.metrics_, c.refusal).inc(); }
  void carry_out(const Commanded&) { w_.board_.commanded(steady_now()); }
  void carry_out(const HeadMoves& m) { w_.board_.write(m.head); }

  EngineAnswer carry_out(const SendPayload& e) { return w_.engine_.new_payload(e.payload->body); }
  EngineAnswer carry_out(const SendForkchoice& e) { return w_.engine_.forkchoice_updated(e.update); }
  ReadLabels::Answer carry_out(const ReadLabels&) { return w_.engine_.labels(); }
  ReadBlock::Answer carry_out(const ReadBlock& e) { return w_.engine_.block_by_number(e.number); }
  BuildTwin::Answer carry_out(const BuildTwin& e) { return w_.engine_.build(e.parent, e.plan); }
  absl::Status carry_out(const SetHead& e) { return w_.engine_.set_head(e.number); }
  Done carry_out(const OpenPayloads& e) {
    stream_.reset();
    stream_ = w_.open_stream_(e.parent, e.tip, e.origin);
    return {};
  }
  NextPayload::Answer carry_out(const NextPayload&) { return stream_->next(absl::ToChronoMilliseconds(kLook)); }
  Done carry_out(const WaitFor& e) {
    const absl::Time until = steady_now() + e.time;
    for (absl::Time now = steady_now(); now < until && !interrupt(); now = steady_now())
      absl::SleepFor(std::min(until - now, kLook));
    return {};
  }
  absl::Status carry_out(const Persist& e) { return w_.file_.save(e.state); }
  Event carry_out(const End&) { return Done{}; }

  Writer& w_;
  CommandSession& session_;
  const Cancelled& cancelled_;
  const OnProgress& on_progress_;
  std::unique_ptr<PayloadStream> stream_;
};

Writer::Writer(Options options, Gate gate, MinAge min_age, const StateFile& file, EngineClient& engine,
               StateBoard& board, OpenPayloadStream open_stream, Metrics& metrics)
    : options_{[&] {
        options.can_rewind = engine.can_rewind();
        return options;
      }()},
      memory_{std::move(gate), std::move(min_age)},
      file_{file},
      engine_{engine},
      board_{board},
      open_stream_{std::move(open_stream)},
      metrics_{metrics} {
  // They exist from the start: what counts an increase misses one that appears with it.
  for (const contract::Refusal r : contract::kRefusals) counter(metrics_, r);
  for (const auto& [name, help] : kCounters) counters_.push_back(metrics_.counter(name, help));
}

absl::StatusOr<contract::CommandResult> Writer::run(CommandSession& session, const Cancelled& cancelled,
                                                    const OnProgress& on_progress) {
  if (board_.stopped()) return absl::CancelledError("engine-driver is told to stop");
  return Runner{*this, session, cancelled, on_progress}.run();
}

absl::StatusOr<contract::CommandResult> Writer::import_range(const contract::CommandStamp& c,
                                                             const contract::ImportRange& range,
                                                             const Cancelled& cancelled,
                                                             const OnProgress& on_progress) {
  ImportSession session{options_, memory_, c, range};
  return run(session, cancelled, on_progress);
}

absl::StatusOr<contract::CommandResult> Writer::set_forkchoice(const contract::CommandStamp& c,
                                                               const contract::Forkchoice& f,
                                                               const Cancelled& cancelled) {
  ForkchoiceSession session{options_, memory_, c, f};
  return run(session, cancelled, {});
}

absl::StatusOr<contract::CommandResult> Writer::rewind(const contract::CommandStamp& c, const eth::BlockId& to) {
  RewindSession session{options_, memory_, c, to};
  return run(session, [] { return false; }, {});
}

absl::StatusOr<contract::CommandResult> Writer::lower_finalized(const eth::BlockId& was, const eth::BlockId& to,
                                                                const std::string& reason) {
  LowerFinalizedSession session{options_, memory_, was, to, reason};
  return run(session, [] { return false; }, {});
}

}  // namespace towline::driver
