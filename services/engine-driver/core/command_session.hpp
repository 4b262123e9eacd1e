// One command in progress: what all sessions share. A session is a state machine: an answer and the time in, one effect
// out, until the effect is End. This class does the admission by the gate, the repetition of writes until their outcome
// is known, the reading back of updates, and the reports on the way. Pure.
//
// A step that waits names its continuation: `ask(effect, then)` returns the effect, and its answer is passed to `then`.
#pragma once
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "services/engine-driver/core/effects.hpp"
#include "services/engine-driver/core/min_age.hpp"
#include "services/engine-driver/core/quarantine.hpp"

namespace towline::driver {

struct SessionOptions {
  std::uint64_t forkchoice_every = 32;
  /// How long a call is repeated before the command ends with engine_unavailable.
  absl::Duration give_up_after = absl::Seconds(30);
  /// If the EL has been silent for this long, its labels are read before the next write. No EL restarts faster.
  absl::Duration restart_takes = absl::Milliseconds(250);
  /// --engine.twins
  bool twins = true;
  /// --engine.admin-rpc
  bool can_rewind = false;
};

/// What the driver remembers from one command to the next.
struct Memory {
  Gate gate;
  MinAge min_age;
  /// Cleared with each new engine session: a restart may have healed the EL.
  Quarantine quarantine = {};
  /// The labels that the next write is based on, and when the EL last answered.
  contract::Labels shown = {};
  absl::Time heard = absl::InfinitePast();
  /// When `shown` was read; InfinitePast: before the last write.
  absl::Time read_at = absl::InfinitePast();
  /// How far our clock is behind the chain's clock, according to the last command.
  absl::Duration late = absl::ZeroDuration();
  /// The engine session that `moves` is about. `moves`: the EL has moved its head on command in that session.
  std::uint64_t session = 0;
  bool moves = false;
  absl::Time said_young = absl::InfinitePast();

  /// The EL shows these labels, with no write since they were asked for. The next command need not read them again.
  void labels_read(const contract::Labels& labels, absl::Time asked, absl::Time answered) {
    shown = labels;
    read_at = asked;
    heard = std::max(heard, answered);
  }
};

/// Why a command has to end early.
enum class Interrupt {
  cancelled,  // by its caller, or by a command with a newer term
  stopping,   // SIGTERM: this process stops
};

class CommandSession {
 public:
  CommandSession(const SessionOptions& options, Memory& memory) : options_{options}, memory_{memory} {}
  virtual ~CommandSession() = default;
  CommandSession(const CommandSession&) = delete;
  CommandSession& operator=(const CommandSession&) = delete;

  /// `engine`: the published state, with all notes so far applied. It is used during the call only.
  Step start(absl::Time now, const contract::EngineState& engine);
  /// The answer to the effect of the previous step.
  Step on(Event answer, absl::Time now, const contract::EngineState& engine);
  /// May be called at any time between two steps. The pending answer still arrives, and results so far are kept.
  void interrupt(Interrupt why);

 protected:
  template <class... T>
  using Then = std::function<Effect(T...)>;
  using Result = contract::CommandResult;

  virtual Effect begin() = 0;

  template <class E>
  Effect ask(E effect, Then<typename E::Answer> then) {
    then_ = [then = std::move(then)](Event& e) { return then(std::get<typename E::Answer>(std::move(e))); };
    return effect;
  }
  Effect end(absl::StatusOr<Result> result);
  /// Ends with the result and the labels read back from the EL.
  Effect ended(contract::Outcome o, std::string reason, std::optional<eth::BlockId> block, Then<Result> then);
  Effect end_with(contract::Outcome o, std::string reason, std::optional<eth::BlockId> block = {});

  /// What the EL's head must be at admission.
  enum class Head {
    expected,
    any,  // the head moves without us
  };
  /// Passes `c` through the gate, with a newer term on disk before anything is sent, and reads the EL's labels, unless
  /// somebody has just done so.
  Effect admit(const contract::CommandStamp& c, Then<const contract::Labels&> then, Head head = Head::expected);
  /// Saves `next` before it takes effect. If that fails, nothing is written to the EL until the disk works again.
  Effect persist(const Gate::ToSave& next, Then<absl::Status> then);
  /// OK if `id` is canonical in the EL; refusal not_canonical if it is not.
  Effect check_canonical(const eth::BlockId& id, const char* what, Then<absl::Status> then);
  /// OK if the EL has the confirmed finalized block on its chain. If it has another one, the state says so, and the
  /// result is the refusal below_finalized.
  Effect check_confirmed_finalized(const contract::Forkchoice& f, Then<absl::Status> then);
  /// MinAge::hold(), with a counter and a log line.
  bool hold_young(const contract::Labels& el, std::optional<eth::BlockId>& safe,
                  std::optional<eth::BlockId>& finalized);

  /// How often a write is sent while its outcome is unknown.
  enum class Tries { until_known, once };
  /// Each attempt is sent only if the EL's labels are unchanged.
  Effect send_payload(std::shared_ptr<const PreparedPayload> payload, Then<EngineAnswer> then);
  /// Sends the update and reads the labels back; nullopt: done, and the labels are equal.
  Effect update(const contract::Forkchoice& f, Tries tries, Then<std::optional<Result>> then);
  /// The result of the command after an answer that does not allow it to proceed.
  Effect failed(Call call, const EngineAnswer& a, const eth::BlockId& block, Tries tries, Then<Result> then);
  /// debug_setHead. Also OK if its answer is lost, since the labels show the outcome.
  Effect rewind(const eth::BlockRef& from, const eth::BlockId& to, Then<absl::Status> then);

  const std::optional<Interrupt>& interrupted() const { return interrupted_; }
  std::string why_interrupted() const;
  absl::Time now() const { return now_; }
  /// The time by the chain's clock.
  absl::Time chain_now() const { return now_ + memory_.late; }
  const contract::EngineState& engine() const { return *engine_; }
  template <class N>
  void note(N n) {
    notes_.emplace_back(std::in_place_type<N>, std::move(n));
  }
  void say(Log::Severity severity, std::string message, std::vector<std::pair<std::string, std::string>> fields) {
    note(Log{severity, std::move(message), std::move(fields)});
  }

  const SessionOptions options_;
  Memory& memory_;

 private:
  /// A write in progress, sent until its outcome is known.
  struct Write {
    Effect send;
    /// The update, if the write is one.
    std::optional<contract::Forkchoice> update = {};
    Tries tries = Tries::until_known;
    Then<EngineAnswer> then = {};
    absl::Time give_up = {};
    absl::Duration wait = absl::Milliseconds(50);
    bool sent = false;
  };
  Effect write(Write w);
  Effect look_before_write();
  Effect send_write();
  Effect on_write_answer(EngineAnswer a);
  Effect write_ended(EngineAnswer a);

  Effect send_update(const contract::Forkchoice& f, Tries tries, Then<std::optional<Result>> then);
  /// VALID is no proof: an EL also answers VALID to an update that it did not apply.
  Effect read_back(const contract::Forkchoice& f, int look, const std::optional<eth::BlockRef>& head_before,
                   Then<std::optional<Result>> then);
  Effect on_read_back(const contract::Forkchoice& f, const std::optional<eth::BlockRef>& head_before,
                      const Then<std::optional<Result>>& then);

  /// A new engine session clears what was remembered about the EL's blocks.
  void enter(absl::Time now, const contract::EngineState& engine);
  Step step(Effect effect);
  Effect admit_to(const contract::CommandStamp& c, Head head, const Then<const contract::Labels&>& then);

  std::function<Effect(Event&)> then_;
  std::vector<Note> notes_;
  std::optional<Interrupt> interrupted_;
  absl::Time now_;
  const contract::EngineState* engine_ = nullptr;
  Write write_;
};

}  // namespace towline::driver
