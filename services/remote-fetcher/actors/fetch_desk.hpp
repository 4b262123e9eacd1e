// The actor that hands work out to the service's workers, and the workers: a fixed number of threads, however many
// calls there are. Workers make the blocking calls of the pool and verify what comes.
//
// In: jobs, each for one of three groups of workers (questions of callers, headers, bodies); what batches of bodies
// hold in memory (core/fetch_queue); headers that proofs which failed leave behind. Out: jobs to workers. No timers. A
// worker never dies: what throws ends the process. A stream that dies is told of by its call.
#pragma once
#include <array>
#include <caf/typed_actor.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "services/remote-fetcher/core/chain_proof.hpp"

namespace towline::fetcher {

/// Runs on a worker, and hands over what it has.
using JobPtr = std::shared_ptr<const std::function<void()>>;
using KeptPtr = std::shared_ptr<const std::vector<HashedHeader>>;

}  // namespace towline::fetcher

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::fetcher::JobPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::fetcher::KeptPtr)

namespace caf {
class actor_system;
}

namespace towline::fetcher {

using run_atom = caf::atom_constant<caf::atom("run")>;
using bodies_atom = caf::atom_constant<caf::atom("bodies")>;
using size_atom = caf::atom_constant<caf::atom("size")>;
using close_atom = caf::atom_constant<caf::atom("close")>;
using keep_atom = caf::atom_constant<caf::atom("keep")>;
using kept_atom = caf::atom_constant<caf::atom("kept")>;
using idle_atom = caf::atom_constant<caf::atom("idle")>;

/// Each has workers of its own: a long range keeps no question waiting.
enum class Crew : std::uint8_t { questions, headers, bodies };

using fetch_desk_actor = caf::typed_actor<
    // A job for a crew, the first come first.
    caf::reacts_to<run_atom, std::uint8_t, JobPtr>,
    // A batch of bodies: stream, batch, the bytes that are expected.
    caf::reacts_to<bodies_atom, std::uint64_t, std::uint64_t, std::uint64_t, JobPtr>,
    // What a batch takes in fact; 0: its reader has it, or it never comes.
    caf::reacts_to<size_atom, std::uint64_t, std::uint64_t, std::uint64_t>,
    // A stream is over.
    caf::reacts_to<close_atom, std::uint64_t>,
    // Headers for another try, and those that are kept from one number to another: they are kept no longer.
    caf::reacts_to<keep_atom, KeptPtr>, caf::replies_to<kept_atom, std::uint64_t, std::uint64_t>::with<KeptPtr>,
    // From a worker that is done.
    caf::reacts_to<idle_atom, std::uint8_t, std::uint64_t>>;

/// Runs a job, and tells the desk which worker of which crew is idle again.
using worker_actor = caf::typed_actor<caf::reacts_to<run_atom, fetch_desk_actor, std::uint8_t, std::uint64_t, JobPtr>>;

/// How many workers each crew has.
struct Crews {
  std::size_t questions = 16, headers = 16, bodies = 48;
};
/// As many as there can be requests in flight, within reason.
Crews crews_for(std::size_t endpoints, int max_in_flight);

/// The desk for whoever has work, on any thread.
class FetchDesk {
 public:
  /// `max_bytes`: of all payloads that wait for readers, those on their way included.
  FetchDesk(caf::actor_system& system, Crews crews, std::size_t max_bytes);

  void run(Crew crew, std::function<void()> job) const;
  void fetch(std::uint64_t stream, std::uint64_t batch, std::size_t bytes, std::function<void()> job) const;
  void set_size(std::uint64_t stream, std::uint64_t batch, std::size_t bytes) const;
  void close(std::uint64_t stream) const;
  void keep(std::vector<HashedHeader> headers) const;
  const fetch_desk_actor& actor() const { return desk_; }
  /// Waits for the workers, whose calls were cancelled.
  void end(caf::actor_system& system);

 private:
  std::vector<worker_actor> workers_;
  fetch_desk_actor desk_;
};

}  // namespace towline::fetcher
