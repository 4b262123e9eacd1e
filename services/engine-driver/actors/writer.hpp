// The only writer to the EL, one command at a time. core/command_session.hpp decides; this actor carries out the
// effects one at a time, and passes the answers back.
//
// Owns: the view of the EL (core/engine_view.hpp), the memory between commands (Memory), the current command, and a
// queue of waiting commands. In: commands and their cancellation, looks of engine_poller, and answers of the engine,
// the state store and the payload stream. Out: effects, progress and results through the callbacks of the command, the
// state to state_hub. Timers: the wait for a payload, and the pauses of a session.
//
// If the EL dies, the current command ends with engine_unavailable. If a remote payload source dies, its stream is
// reopened a few times before the command ends with source_unavailable. A partner actor that fails ends the process
// (guard). When the process stops, an import makes its imported blocks the head; waiting and later commands end with
// CANCELLED.
#pragma once
#include <caf/typed_actor.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <variant>
#include <vector>

#include "libs/telemetry/metrics.hpp"
#include "services/engine-driver/actors/engine.hpp"
#include "services/engine-driver/actors/payload_stream.hpp"
#include "services/engine-driver/actors/state_hub.hpp"
#include "services/engine-driver/actors/state_store.hpp"
#include "services/engine-driver/core/command_session.hpp"
#include "services/engine-driver/core/engine_view.hpp"

namespace towline::driver {

/// The block to rewind the head to.
struct RewindTo {
  eth::BlockId block;
};
/// The block whose finality an operator revokes, the block that takes its place, and the reason.
struct LowerFinalized {
  eth::BlockId was, to;
  std::string reason;
};

/// A command and its callbacks. The callbacks run in the writer, so they must hand over and return.
struct Command {
  /// Not used for LowerFinalized, which an operator sends.
  contract::CommandStamp stamp;
  std::variant<contract::ImportRange, contract::Forkchoice, contract::StartElSync, RewindTo, LowerFinalized> what;
  std::function<void(const contract::ImportProgress&)> on_progress = {};
  /// Runs once. Outcome `refused`: contract::Refusal tells why. RESOURCE_EXHAUSTED: the queue is full. CANCELLED: the
  /// command had not begun. Other errors as in End (core/effects.hpp).
  std::function<void(absl::StatusOr<contract::CommandResult>)> on_done;
};
using CommandPtr = std::shared_ptr<const Command>;
using LookPlanPtr = std::shared_ptr<const LookPlan>;
using LookPtr = std::shared_ptr<const Look>;
using ReplicasPtr = std::shared_ptr<const std::vector<contract::Replica>>;

using run_atom = caf::atom_constant<caf::atom("run")>;
using cancel_atom = caf::atom_constant<caf::atom("cancel")>;
using plan_atom = caf::atom_constant<caf::atom("plan")>;
using look_atom = caf::atom_constant<caf::atom("look")>;
using payload_atom = caf::atom_constant<caf::atom("payload")>;
using replicas_atom = caf::atom_constant<caf::atom("replicas")>;

using writer_actor = caf::typed_actor<caf::reacts_to<run_atom, CommandPtr>,
                                      // Ends an import, an update or the start of an EL sync early; other commands run
                                      // to their end.
                                      caf::reacts_to<cancel_atom, CommandPtr>,
                                      caf::replies_to<plan_atom>::with<LookPlanPtr>, caf::reacts_to<look_atom, LookPtr>,
                                      // The view of the replicas that serve payloads.
                                      caf::reacts_to<replicas_atom, ReplicasPtr>, caf::reacts_to<stop_atom>>;
/// The number names the question or the stream of a tick or payload: messages of earlier ones are ignored. A tick
/// without a number ends a wait for a payload that is over.
using writer_impl = writer_actor::extend<caf::reacts_to<tick_atom>, caf::reacts_to<tick_atom, std::uint64_t>,
                                         caf::reacts_to<payload_atom, std::uint64_t, PayloadPtr>>;

struct WriterConfig {
  SessionOptions options;
  Gate gate;
  MinAge min_age;
  contract::EngineState first;
  engine_actor engine;
  state_store_actor store;
  state_hub_actor hub;
  OpenPayloadStream open_stream;
  Metrics* metrics;
};

class writer_state {
 public:
  static inline const char* name = "writer";
  explicit writer_state(writer_impl::pointer self) : self_{self} {}
  writer_impl::behavior_type make_behavior(WriterConfig config);

 private:
  static constexpr std::size_t kMostWaiting = 8;

  void on_command(const CommandPtr& c);
  void on_cancel(const CommandPtr& c);
  void on_look(const Look& look);
  void stop();

  void begin_next();
  std::unique_ptr<CommandSession> session_of(const Command& c);
  /// Runs the session's steps until it has to wait for an answer.
  void go_on(Step step);
  void on_answer(Event answer);
  /// Interrupts the current command, and ends its wait for a payload or for time.
  void interrupt(Interrupt why);
  void finish(absl::StatusOr<contract::CommandResult> result);
  /// Later answers of the stream are ignored.
  void close_stream();

  /// Carries out the effect. Returns the answer if there is one at once; nullopt: it comes as a message.
  std::optional<Event> carry_out(const OpenPayloads& e);
  std::optional<Event> carry_out(const NextPayload&);
  std::optional<Event> carry_out(const WaitFor& e);
  std::optional<Event> carry_out(const Persist& e);
  std::optional<Event> carry_out(const End&) { return Done{}; }
  /// All other effects go to the EL.
  template <class E>
  std::optional<Event> carry_out(const E& e) {
    return ask_engine(Effect{e});
  }
  std::optional<Event> ask_engine(Effect e);
  /// Ends the wait for a payload when its time is over. One tick at a time is on its way, because each wakes a thread
  /// of CAF, and an import waits for each block.
  void watch_wait();

  void note(const StateChange& change);
  void note(const Log& line);
  void note(const Count& c);
  void note(const CountRefusal& c);
  void note(const Commanded& c);
  void note(const HeadMoves& m);
  void publish();

  writer_impl::pointer self_;
  std::optional<WriterConfig> config_;
  std::optional<Memory> memory_;
  std::optional<EngineView> view_;
  /// Indexed by Counter; kept here because two of them count every block.
  std::vector<Metrics::Counter> counters_;

  std::deque<CommandPtr> queue_;
  CommandPtr running_;
  std::unique_ptr<CommandSession> session_;
  /// The open question, and which of the waits an interrupt ends.
  enum class Waits { for_answer, for_payload, for_time };
  std::uint64_t question_ = 0;
  Waits waits_ = Waits::for_answer;
  /// The end of the wait for a payload.
  absl::Time payload_due_;
  bool wait_watched_ = false;

  std::unique_ptr<PayloadStream> stream_;
  std::uint64_t stream_number_ = 0;
  bool asked_ = false;
  /// A payload that arrived when the session no longer waited for it.
  std::optional<NextPayload::Answer> early_;
  /// The published state has changed.
  bool changed_ = false;
  bool stopping_ = false;
};

writer_impl::behavior_type writer(writer_impl::stateful_pointer<writer_state> self, WriterConfig config);

}  // namespace towline::driver

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::CommandPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::LookPlanPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::LookPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::ReplicasPtr)
