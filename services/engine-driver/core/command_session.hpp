// One command on its way: what every session has in common. A session is a state machine: an answer and the time in,
// one effect out, until the effect is End. Here: admission by the gate, writes that are repeated until their outcome is
// known, updates that are read back, and what is told of it. Pure.
//
// A step that waits names its continuation: `ask(effect, then)` returns the effect, and the answer goes to `then`.
#pragma once
#include <absl/strings/str_cat.h>

#include <functional>
#include <utility>

#include "services/engine-driver/core/effects.hpp"
#include "services/engine-driver/core/min_age.hpp"
#include "services/engine-driver/core/quarantine.hpp"

namespace towline::driver {

struct SessionOptions {
  std::uint64_t forkchoice_every = 32;
  /// How long one call is repeated before the command ends with engine_unavailable.
  absl::Duration give_up_after = absl::Seconds(30);
  /// After so long a silence the labels are read before the next write: no EL comes back from a restart sooner.
  absl::Duration restart_takes = absl::Milliseconds(250);
  /// --engine.twins
  bool twins = true;
  /// --engine.admin-rpc
  bool can_rewind = false;
};

/// What the driver knows from one command to the next.
struct Memory {
  Gate gate;
  MinAge min_age;
  /// Emptied with a new engine session: a restart may have healed the EL.
  Quarantine quarantine = {};
  /// The labels that the next write stands on, and when the EL answered last.
  contract::Labels shown = {};
  absl::Time heard = absl::InfinitePast();
  /// How far our clock is behind the chain's, as the last command had it.
  absl::Duration late = absl::ZeroDuration();
  /// The EL's life that the following is about: it has moved its head when it was told to.
  std::uint64_t session = 0;
  bool moves = false;
  absl::Time said_young = absl::InfinitePast();
};

/// Why a command is to end before its time.
enum class Interrupt {
  cancelled,  // by its caller, or by a newer command
  stopping,   // SIGTERM: this process ends
};

class CommandSession {
 public:
  CommandSession(const SessionOptions& options, Memory& memory) : options_{options}, memory_{memory} {}
  virtual ~CommandSession() = default;
  CommandSession(const CommandSession&) = delete;
  CommandSession& operator=(const CommandSession&) = delete;

  /// `engine`: what everybody is told, all notes so far applied. It is read during the call only.
  Step start(absl::Time now, const contract::EngineState& engine);
  /// The answer to the effect of the step before.
  Step on(Event answer, absl::Time now, const contract::EngineState& engine);
  /// At any time between two steps. The answer that is waited for comes all the same; what was done so far is kept.
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
  /// The result with the labels as they read back.
  Effect ended(contract::Outcome o, std::string reason, std::optional<eth::BlockId> block, Then<Result> then);
  Effect end_with(contract::Outcome o, std::string reason, std::optional<eth::BlockId> block = {});

  /// Reads the EL's labels and passes `c` through the gate; a newer term is on disk before anything is sent.
  enum class Head {
    expected,
    any,  // it moves without us
  };
  Effect admit(const contract::CommandStamp& c, Then<const contract::Labels&> then, Head head = Head::expected);
  /// `next` is on disk and counts, or nothing more is written to the EL until it is found that it can be.
  Effect persist(const Gate::ToSave& next, Then<absl::Status> then);
  /// OK if `id` is canonical in the EL.
  Effect check_canonical(const eth::BlockId& id, const char* what, Then<absl::Status> then);
  /// OK: the confirmed finalized block is not beside what an update makes canonical or final. What is beside it is
  /// told.
  Effect check_confirmed_finalized(const contract::Forkchoice& f, Then<absl::Status> then);
  /// As MinAge::hold(); counted and logged.
  bool hold_young(const contract::Labels& el, std::optional<eth::BlockId>& safe,
                  std::optional<eth::BlockId>& finalized);

  /// How often a write is sent whose outcome is not known.
  enum class Tries { until_known, once };
  /// Each time only to an EL whose labels are as they were.
  Effect send_payload(std::shared_ptr<const PreparedPayload> payload, Then<EngineAnswer> then);
  /// Sends the update and reads back; nullopt: done and equal.
  Effect update(const contract::Forkchoice& f, Tries tries, Then<std::optional<Result>> then);
  /// How the command ends after an answer that does not let it proceed.
  Effect failed(Call call, const EngineAnswer& a, const eth::BlockId& block, Tries tries, Then<Result> then);
  /// debug_setHead. OK where its answer is lost, too: the labels tell what came of it.
  Effect rewind(const eth::BlockRef& from, const eth::BlockId& to, Then<absl::Status> then);

  const std::optional<Interrupt>& interrupted() const { return interrupted_; }
  std::string why_interrupted() const;
  absl::Time now() const { return now_; }
  /// By the chain's clock.
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
  /// A write that is sent until its outcome is known.
  struct Write {
    Call call = Call::new_payload;
    Effect send;
    /// The write, if it is an update.
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
  /// VALID is no proof: an EL says it to an update that it did not apply.
  Effect read_back(const contract::Forkchoice& f, int look, const std::optional<eth::BlockRef>& head_before,
                   Then<std::optional<Result>> then);
  Effect on_read_back(const contract::Forkchoice& f, const contract::Labels& shown,
                      const std::optional<eth::BlockRef>& head_before, const Then<std::optional<Result>>& then);

  /// Another life of the EL begins with an empty memory of its blocks.
  void enter(absl::Time now, const contract::EngineState& engine);
  Step step(Effect effect);

  std::function<Effect(Event&)> then_;
  std::vector<Note> notes_;
  std::optional<Interrupt> interrupted_;
  absl::Time now_;
  const contract::EngineState* engine_ = nullptr;
  Write write_;
};

}  // namespace towline::driver
