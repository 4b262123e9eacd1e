// The actor that owns the endpoints and all requests to them: which request may be sent to which endpoint now (pool),
// polls of heads (head_poller), and questions of callers and streams (headers, bodies). Each of these is a task, which
// holds no thread while it waits, so their number costs only memory. The dispatcher also owns what streams share: their
// order and their bytes (core/fetch_queue), verified payloads (core/body_cache), and the headers left over from failed
// proofs.
//
// In: questions, orders for batches of bodies, released memory, responses of the HTTP client, and results of verifiers.
// Out: requests to the HTTP client; expensive work (decompression, JSON, hashes) to verifiers, which are detached, one
// per core; answers to callers and streams; the state of the endpoints (endpoint_view), of heads (head_hub), and bad
// data (evidence). Timers: for waiting turns, pollers, and requests with a limit. An exception here or in a verifier
// ends the process. When a caller is gone, its call says so (close_atom), and its tasks end with CANCELLED.
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
/// Each lane has its own limit of running tasks: a long range does not delay the questions of callers.
enum class Lane : std::uint8_t { callers, headers, bodies };
struct Question {
  /// The owner, as in close().
  std::uint64_t owner = 0;
  Lane lane = Lane::callers;
  /// A coroutine that delivers its result itself; it lives as long as its task.
  std::function<Task<void>(Sources, CancelPtr)> ask;
  /// Called instead if too many questions wait.
  std::function<void(const absl::Status&)> refuse;
};
using QuestionPtr = std::shared_ptr<const Question>;
/// A batch of bodies for a stream: `count` blocks from position `at`.
struct BodiesOrder {
  ProvenHeaders headers;
  std::size_t at = 0, count = 0, expected_bytes = 0;
  /// Runs in the dispatcher, so it must hand over and return.
  std::function<void(absl::StatusOr<std::vector<ServedPtr>>, std::size_t bytes)> done;
};
using BodiesOrderPtr = std::shared_ptr<const BodiesOrder>;
using KeptPtr = std::shared_ptr<const std::vector<HashedHeader>>;
/// A function that runs in the actor that receives it.
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
    // The reader has the batch, or the batch will never come: release its memory.
    caf::reacts_to<free_atom, std::uint64_t, std::uint64_t>,
    // A caller or a stream is over.
    caf::reacts_to<close_atom, std::uint64_t>,
    // Keep headers for another attempt; hand over, and no longer keep, those from one number to another.
    caf::reacts_to<keep_atom, KeptPtr>, caf::replies_to<kept_atom, std::uint64_t, std::uint64_t>::with<KeptPtr>,
    // A change of an endpoint, by an operator or by a new number of replicas.
    caf::reacts_to<change_atom, std::uint64_t, ChangePtr>,
    // A task's awaited result has arrived.
    caf::reacts_to<step_atom, StepPtr>,
    // A verifier is idle.
    caf::reacts_to<idle_atom, std::uint64_t>,
    // End everything that waits with CANCELLED.
    caf::reacts_to<halt_atom>>;

/// Runs a job, then reports to the dispatcher that it is idle.
using verifier_actor = caf::typed_actor<caf::reacts_to<step_atom, dispatcher_actor, std::uint64_t, StepPtr>>;

struct DispatcherConfig {
  std::vector<EndpointConfig> endpoints;
  absl::Duration request_timeout;
  std::string evidence_file;
  rollup::Config rollup;
  absl::Duration poll_interval;
  /// --check.block-times
  bool check_times = true;
  /// Requests in flight per endpoint.
  int max_in_flight = 16;
  /// Bytes of all payloads that wait for readers, including those being fetched.
  std::size_t max_bytes = 64U << 20U;
  /// Bytes of payloads cached for other streams.
  std::size_t cache_bytes = 64U << 20U;
  /// Callers' questions that may wait for a task.
  std::size_t most_waiting = 256;
  /// One per core.
  std::size_t verifiers = 2;
};

verifier_actor::behavior_type verifier(verifier_actor::pointer self);

/// What the dispatcher gives work to. The actors end with the dispatcher.
struct Workers {
  std::shared_ptr<http::Transport> transport;
  evidence_actor evidence;
  std::vector<verifier_actor> verifiers;
};

/// A handle to the dispatcher, usable on any thread.
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
  /// A number for a caller or a stream, for Question::owner and close().
  std::uint64_t new_owner() const { return ++last_owner_; }
  // These send the messages of dispatcher_actor, see there.
  void ask(Question q) const;
  void fetch(std::uint64_t stream, std::uint64_t batch, BodiesOrder order) const;
  void free(std::uint64_t stream, std::uint64_t batch) const;
  void close(std::uint64_t owner) const;
  void keep(std::vector<HashedHeader> headers) const;
  /// `done` runs in the dispatcher, once the change is published.
  void change(std::size_t endpoint, std::function<void(Endpoint&)> change, std::function<void()> done) const;
  const dispatcher_actor& actor() const { return actor_; }
  /// Cancels all current and later requests.
  void stop() const;
  /// Ends the verifiers, the dispatcher and the evidence actor, and waits for them.
  void end(caf::actor_system& system);
  /// For the watchdog, see http::Transport; the second one is for the dispatcher itself.
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
