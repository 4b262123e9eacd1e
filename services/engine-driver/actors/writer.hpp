// The only writer to the EL: one command after the other. What is decided about a command is in
// core/command_session.hpp; this asks the world for the effects, one at a time, and hands the answers back.
//
// Owns: what is known of the EL (core/engine_view.hpp) and from one command to the next (Memory), the command in hand,
// and a queue of those that wait. In: commands and that they are to end, looks of engine_poller, answers of the engine,
// the state store and the payload stream. Out: effects, progress and results through the command's callbacks, the state
// to state_hub. Timers: how long it waits for a payload, and the pauses of a session.
//
// If the EL dies the command in hand ends with engine_unavailable; if the payload source dies it is asked again a few
// times, then source_unavailable. An actor that it works with ends the process when it fails (guard). When the process
// is told to stop an import makes the head what it has imported; commands that wait, or come later, are CANCELLED.
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

/// What the head is to be rewound to.
struct RewindTo {
  eth::BlockId block;
};
/// What is final here and shall be no more, the block that takes its place, and why.
struct LowerFinalized {
  eth::BlockId was, to;
  std::string reason;
};

/// A command, and whom to tell. The callbacks run in the writer: hand over and return.
struct Command {
  /// Of LowerFinalized it means nothing: an operator gives it.
  contract::CommandStamp stamp;
  std::variant<contract::ImportRange, contract::Forkchoice, contract::StartElSync, RewindTo, LowerFinalized> what;
  std::function<void(const contract::ImportProgress&)> on_progress = {};
  /// Once. Outcome `refused`: by the gate, and nothing was sent. An error: the command makes no sense, or nothing is
  /// known of the EL. RESOURCE_EXHAUSTED: too many wait. CANCELLED: it had not begun.
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
                                      // Ends an import, an update or the start of an EL sync before its time; other
                                      // commands go on to their end.
                                      caf::reacts_to<cancel_atom, CommandPtr>,
                                      caf::replies_to<plan_atom>::with<LookPlanPtr>, caf::reacts_to<look_atom, LookPtr>,
                                      // What is told of those who serve payloads.
                                      caf::reacts_to<replicas_atom, ReplicasPtr>, caf::reacts_to<stop_atom>>;
/// The numbers say which question, or which stream, a tick or a payload belongs to: one that is over is ignored.
using writer_impl = writer_actor::extend<caf::reacts_to<tick_atom, std::uint64_t>,
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
  /// The session's steps, until it waits for something that is not there yet.
  void go_on(Step step);
  void on_answer(Event answer);
  /// The command in hand is to end: what it merely waits for is cut short.
  void interrupt(Interrupt why);
  void finish(absl::StatusOr<contract::CommandResult> result);
  /// What it still answers means nothing.
  void close_stream();

  /// Asks for it. nullopt: the answer comes as a message; else it is there.
  std::optional<Event> carry_out(const OpenPayloads& e);
  std::optional<Event> carry_out(const NextPayload&);
  std::optional<Event> carry_out(const WaitFor& e);
  std::optional<Event> carry_out(const Persist& e);
  std::optional<Event> carry_out(const End&) { return Done{}; }
  /// The others are the EL's.
  template <class E>
  std::optional<Event> carry_out(const E& e) {
    return ask_engine(Effect{e});
  }
  std::optional<Event> ask_engine(Effect e);
  void wake_in(absl::Duration time);

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
  /// By Counter: two of them count with every block.
  std::vector<Metrics::Counter> counters_;

  std::deque<CommandPtr> queue_;
  CommandPtr running_;
  std::unique_ptr<CommandSession> session_;
  /// Which question is open, and whether an interrupt cuts it short.
  enum class Waits { for_answer, for_payload, for_time };
  std::uint64_t question_ = 0;
  Waits waits_ = Waits::for_answer;

  std::unique_ptr<PayloadStream> stream_;
  std::uint64_t stream_number_ = 0;
  bool asked_ = false;
  /// It came when nobody waited for it any more.
  std::optional<NextPayload::Answer> early_;
  /// What everybody is told has changed.
  bool changed_ = false;
  bool stopping_ = false;
};

writer_impl::behavior_type writer(writer_impl::stateful_pointer<writer_state> self, WriterConfig config);

}  // namespace towline::driver

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::CommandPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::LookPlanPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::LookPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::ReplicasPtr)
