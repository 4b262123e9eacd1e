// The actor that hands work out to the service's workers, and the workers: a fixed number of threads, however many
// calls there are. Workers make the blocking calls of the pool and verify what comes. The desk owns what is shared
// between streams: their order and their bytes (core/fetch_queue), verified payloads (core/body_cache), and headers
// that proofs which failed leave behind.
//
// In: jobs, each for one of three crews of workers (questions of callers, headers, bodies); batches of bodies that are
// wanted, and what they hold in memory. Out: jobs to workers, payloads to streams. No timers. A worker never dies: what
// throws ends the process. A stream that dies is told of by itself (close_atom).
#pragma once
#include <array>
#include <caf/typed_actor.hpp>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "services/remote-fetcher/core/body_window.hpp"

namespace towline::fetcher {

/// Runs on a worker, and hands over what it has.
using JobPtr = std::shared_ptr<const std::function<void()>>;
/// A batch of bodies that a stream wants: `count` blocks from `at` on.
struct BodiesOrder {
  ProvenHeaders headers;
  std::size_t at = 0, count = 0, expected_bytes = 0;
  /// Runs on a worker, for those blocks of the batch that nobody else has or fetches. As Bodies::fetch().
  std::function<absl::StatusOr<std::vector<Served>>(std::span<const HashedHeader>, std::size_t expected,
                                                    std::size_t& bytes)>
      fetch;
  /// Runs in the desk, and hands over.
  std::function<void(absl::StatusOr<std::vector<ServedPtr>>, std::size_t bytes)> done;
};
using BodiesOrderPtr = std::shared_ptr<const BodiesOrder>;
/// What a worker has fetched of a batch.
struct FetchedBodies {
  absl::StatusOr<std::vector<ServedPtr>> got;
  std::size_t bytes = 0;
};
using FetchedBodiesPtr = std::shared_ptr<const FetchedBodies>;
using KeptPtr = std::shared_ptr<const std::vector<HashedHeader>>;

}  // namespace towline::fetcher

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::fetcher::JobPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::fetcher::KeptPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::fetcher::BodiesOrderPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::fetcher::FetchedBodiesPtr)

namespace caf {
class actor_system;
}

namespace towline::fetcher {

using run_atom = caf::atom_constant<caf::atom("run")>;
using bodies_atom = caf::atom_constant<caf::atom("bodies")>;
using free_atom = caf::atom_constant<caf::atom("free")>;
using close_atom = caf::atom_constant<caf::atom("close")>;
using keep_atom = caf::atom_constant<caf::atom("keep")>;
using kept_atom = caf::atom_constant<caf::atom("kept")>;
using idle_atom = caf::atom_constant<caf::atom("idle")>;

/// Each has workers of its own: a long range keeps no question waiting.
enum class Crew : std::uint8_t { questions, headers, bodies };

using fetch_desk_actor = caf::typed_actor<
    // A job for a crew, the first come first.
    caf::reacts_to<run_atom, std::uint8_t, JobPtr>,
    // A batch of bodies: stream, batch.
    caf::reacts_to<bodies_atom, std::uint64_t, std::uint64_t, BodiesOrderPtr>,
    // The reader has a batch, or it never comes: it holds no memory.
    caf::reacts_to<free_atom, std::uint64_t, std::uint64_t>,
    // From a worker: what it has fetched for a batch.
    caf::reacts_to<bodies_atom, std::uint64_t, std::uint64_t, FetchedBodiesPtr>,
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
  static constexpr std::size_t kCacheBytes = 64U << 20U;
  /// `max_bytes`: of all payloads that wait for readers, those on their way included. `cache_bytes`: of those that are
  /// kept for others.
  FetchDesk(caf::actor_system& system, Crews crews, std::size_t max_bytes, std::size_t cache_bytes = kCacheBytes);

  void run(Crew crew, std::function<void()> job) const;
  void fetch(std::uint64_t stream, std::uint64_t batch, BodiesOrder order) const;
  void free(std::uint64_t stream, std::uint64_t batch) const;
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
