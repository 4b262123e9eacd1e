// The actor that owns the endpoints and all that is asked of them: who may ask which endpoint now (pool), polls of
// heads (head_poller), questions of callers and of streams (headers, bodies). Each is a task, which holds no thread
// while it waits, so their number costs memory alone. It also owns what is shared between streams: their order and
// their bytes (core/fetch_queue), verified payloads (core/body_cache), and headers that proofs which failed leave
// behind.
//
// In: questions, batches of bodies that are wanted, what was held in memory and is free; answers of the HTTP client,
// and results of verifiers. Out: requests to the HTTP client; to verifiers what costs processor time (unpacking, JSON,
// hashes): they are detached, one a core; to callers and streams what they asked for; what is known of the endpoints
// (endpoint_view), of heads (head_hub) and of bad data (evidence). Timers: one for whoever waits for a turn, one for
// each poller, one for each question with a limit. What throws, here or in a verifier, ends the process. A caller that
// is gone is told of by itself (close_atom): its tasks go on with CANCELLED.
#pragma once
#include <atomic>
#include <caf/typed_actor.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "libs/actor_kit/terminator.hpp"
#include "libs/http/transport.hpp"
#include "services/remote-fetcher/actors/bodies.hpp"
#include "services/remote-fetcher/actors/head_poller.hpp"
#include "services/remote-fetcher/actors/headers.hpp"
#include "services/remote-fetcher/core/body_window.hpp"

namespace towline::fetcher {

/// What a question may use.
struct Sources {
  Pool& pool;
  Headers& headers;
  Bodies& bodies;
};
/// Each has a number of its own: a long range keeps no question of a caller waiting.
enum class Lane : std::uint8_t { callers, headers, bodies };
struct Question {
  /// Who is told of by close().
  std::uint64_t owner = 0;
  Lane lane = Lane::callers;
  /// A coroutine that hands over what it has; it lives as long as its task.
  std::function<Task<void>(Sources, CancelPtr)> ask;
  /// Instead, when too many wait.
  std::function<void(const absl::Status&)> refuse;
};
using QuestionPtr = std::shared_ptr<const Question>;
/// A batch of bodies that a stream wants: `count` blocks from `at` on.
struct BodiesOrder {
  ProvenHeaders headers;
  std::size_t at = 0, count = 0, expected_bytes = 0;
  /// Runs in the dispatcher, and hands over.
  std::function<void(absl::StatusOr<std::vector<ServedPtr>>, std::size_t bytes)> done;
};
using BodiesOrderPtr = std::shared_ptr<const BodiesOrder>;
using KeptPtr = std::shared_ptr<const std::vector<HashedHeader>>;
/// Runs where it is sent to.
using StepPtr = std::shared_ptr<const std::function<void()>>;
struct Change {
  std::function<void(Endpoint&)> make;
  std::function<void()> done;
};
using ChangePtr = std::shared_ptr<const Change>;

}  // namespace towline::fetcher

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::fetcher::QuestionPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::fetcher::KeptPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::fetcher::BodiesOrderPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::fetcher::StepPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::fetcher::ChangePtr)

namespace caf {
class actor_system;
}

namespace towline::fetcher {

using ask_atom = caf::atom_constant<caf::atom("ask")>;
using bodies_atom = caf::atom_constant<caf::atom("bodies")>;
using free_atom = caf::atom_constant<caf::atom("free")>;
using close_atom = caf::atom_constant<caf::atom("close")>;
using keep_atom = caf::atom_constant<caf::atom("keep")>;
using kept_atom = caf::atom_constant<caf::atom("kept")>;
using change_atom = caf::atom_constant<caf::atom("change")>;
using step_atom = caf::atom_constant<caf::atom("step")>;
using idle_atom = caf::atom_constant<caf::atom("idle")>;
using halt_atom = caf::atom_constant<caf::atom("halt")>;

using dispatcher_actor = caf::typed_actor<
    caf::reacts_to<ask_atom, QuestionPtr>,
    // A batch of bodies: stream, batch.
    caf::reacts_to<bodies_atom, std::uint64_t, std::uint64_t, BodiesOrderPtr>,
    // The reader has a batch, or it never comes: it holds no memory.
    caf::reacts_to<free_atom, std::uint64_t, std::uint64_t>,
    // A caller or a stream is over.
    caf::reacts_to<close_atom, std::uint64_t>,
    // Headers for another try, and those that are kept from one number to another: they are kept no longer.
    caf::reacts_to<keep_atom, KeptPtr>, caf::replies_to<kept_atom, std::uint64_t, std::uint64_t>::with<KeptPtr>,
    // Of an endpoint, by an operator.
    caf::reacts_to<change_atom, std::uint64_t, ChangePtr>,
    // Something has come that a task waits for.
    caf::reacts_to<step_atom, StepPtr>,
    // A verifier is idle again.
    caf::reacts_to<idle_atom, std::uint64_t>,
    // Everything that waits ends with CANCELLED.
    caf::reacts_to<halt_atom>>;

/// Runs a job, and tells the dispatcher.
using verifier_actor = caf::typed_actor<caf::reacts_to<step_atom, dispatcher_actor, std::uint64_t, StepPtr>>;

struct DispatcherConfig {
  std::vector<EndpointConfig> endpoints;
  absl::Duration request_timeout;
  std::string evidence_file;
  rollup::Config rollup;
  absl::Duration poll_interval;
  /// --check.block-times
  bool check_times = true;
  /// Requests in flight to each endpoint.
  int max_in_flight = 16;
  /// Of all payloads that wait for readers, those on their way included.
  std::size_t max_bytes = 64U << 20U;
  /// Of those that are kept for others.
  std::size_t cache_bytes = 64U << 20U;
  /// Questions of callers that wait while others are asked.
  std::size_t most_waiting = 256;
  /// One a core.
  std::size_t verifiers = 2;
};

verifier_actor::behavior_type verifier(verifier_actor::pointer self);

/// Whom the dispatcher has work done by. They end with it.
struct Workers {
  std::shared_ptr<http::Transport> transport;
  evidence_actor evidence;
  std::vector<verifier_actor> verifiers;
};

/// The dispatcher for whoever has a question, on any thread.
class Dispatcher {
 public:
  /// Over the network, with a thread for each verifier and for the evidence.
  Dispatcher(caf::actor_system& system, DispatcherConfig config, EndpointViewPtr view, const Heads& heads,
             const fork_watch_actor& forks, Metrics& metrics);
  Dispatcher(caf::actor_system& system, DispatcherConfig config, EndpointViewPtr view, const Heads& heads,
             const fork_watch_actor& forks, Metrics& metrics, Workers workers);
  ~Dispatcher();
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  const EndpointView& view() const { return *view_; }
  EndpointView& view() { return *view_; }
  std::uint64_t new_owner() const { return ++last_owner_; }
  void ask(Question q) const;
  void fetch(std::uint64_t stream, std::uint64_t batch, BodiesOrder order) const;
  void free(std::uint64_t stream, std::uint64_t batch) const;
  void close(std::uint64_t owner) const;
  void keep(std::vector<HashedHeader> headers) const;
  /// `done` runs in the dispatcher, once the change can be seen.
  void change(std::size_t endpoint, std::function<void(Endpoint&)> change, std::function<void()> done) const;
  const dispatcher_actor& actor() const { return actor_; }
  /// Cancels what is under way, and what is asked later.
  void stop() const;
  /// Waits for the verifiers and the dispatcher.
  void end(caf::actor_system& system);
  /// For a watchdog: see http::Transport; and the same of the dispatcher.
  void ask_http_turn(std::function<void()> turn) { transport_->ask_turn(std::move(turn)); }
  void ask_turn(std::function<void()> turn) const;

 private:
  const EndpointViewPtr view_;
  const std::shared_ptr<http::Transport> transport_;
  Terminator actors_;
  dispatcher_actor actor_;
  mutable std::atomic<std::uint64_t> last_owner_{0};
};

}  // namespace towline::fetcher
