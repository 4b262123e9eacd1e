// The payloads of all replicas of remote-fetcher: one range at a time, shared by the replicas.
//
// Owns: the replicas and their performance (core/replicas.hpp), the current range (core/shared_range.hpp) and its open
// streams. In: ranges and requests for payloads from the writer, the addresses that the target resolves to, and
// payloads, ends and borders from calls. Out: calls, payloads to the writer, and a view of the replicas. Timers: a tick
// while there is a range.
//
// When a replica dies, its stream ends and another replica gets the rest of its window. When all die, the writer gets
// the error.
#pragma once
#include <caf/typed_actor.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libs/telemetry/metrics.hpp"
#include "services/engine-driver/actors/payload_stream.hpp"
#include "services/engine-driver/actors/state_hub.hpp"
#include "services/engine-driver/core/shared_range.hpp"

namespace towline::driver {

/// Calls to a replica: over gRPC in the edge, simulated in tests. None of them blocks.
class FetcherCalls {
 public:
  virtual ~FetcherCalls() = default;
  virtual std::unique_ptr<PayloadStream> open(const std::string& replica, const eth::BlockId& from,
                                              const eth::BlockId& to) = 0;
  /// The blocks of each of the replica's sources, at those heights at which a majority of the trust groups has one
  /// block. `done` runs once, on any thread, within a deadline.
  virtual void heights(const std::string& replica, const std::vector<std::uint64_t>& numbers,
                       std::function<void(absl::StatusOr<Heights>)> done) = 0;
  /// The replica has not been listed for Replicas::kForgetAfter: release its channel.
  virtual void forget(const std::string& replica) = 0;
};

using HeightsPtr = std::shared_ptr<const absl::StatusOr<Heights>>;
using AddressesPtr = std::shared_ptr<const std::vector<std::string>>;
using ReplicasShown = std::function<void(const std::vector<contract::Replica>&)>;

using listed_atom = caf::atom_constant<caf::atom("listed")>;
using heights_atom = caf::atom_constant<caf::atom("heights")>;
using given_atom = caf::atom_constant<caf::atom("given")>;

/// The numbers identify streams of the writer.
using shared_payloads_actor =
    caf::typed_actor<caf::reacts_to<open_atom, std::uint64_t, OpenPayloadsPtr>,
                     caf::reacts_to<next_atom, std::uint64_t, DonePtr>, caf::reacts_to<close_atom, std::uint64_t>,
                     caf::reacts_to<listed_atom, AddressesPtr>>;
/// Payloads and borders carry the number of the range and of the stream, ticks that of the range.
using shared_payloads_impl =
    shared_payloads_actor::extend<caf::reacts_to<given_atom, std::uint64_t, std::uint64_t, PayloadPtr>,
                                  caf::reacts_to<heights_atom, std::uint64_t, HeightsPtr>,
                                  caf::reacts_to<tick_atom, std::uint64_t>>;

}  // namespace towline::driver

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::HeightsPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::AddressesPtr)

namespace towline::driver {

struct SharedPayloadsConfig {
  /// The only replica until the target resolves.
  std::string target;
  FetcherCalls* calls;
  Metrics* metrics;
  /// Called when the view has changed: on ticks, with new addresses, and at the end of a range. Runs in the actor, so
  /// it must hand over and return.
  ReplicasShown show;
};

class shared_payloads_state {
 public:
  static inline const char* name = "shared_payloads";
  explicit shared_payloads_state(shared_payloads_impl::pointer self) : self_{self} {}
  shared_payloads_impl::behavior_type make_behavior(SharedPayloadsConfig config);

 private:
  static constexpr auto kTick = std::chrono::milliseconds{500};

  void apply(SharedRange::Effects effects);
  void run(const SharedRange::Open& e);
  void run(const SharedRange::Pull& e);
  void run(const SharedRange::Close& e);
  void run(const SharedRange::AskBorders& e);
  void run(SharedRange::Give& e);
  void run(const SharedRange::Note& e);
  void tick();
  void show();
  absl::Time now() const;

  shared_payloads_impl::pointer self_;
  std::optional<SharedPayloadsConfig> config_;
  std::optional<Replicas> replicas_;
  /// The number of the writer's open stream.
  std::uint64_t stream_ = 0;
  std::optional<SharedRange> range_;
  std::map<std::uint64_t, std::unique_ptr<PayloadStream>> open_;
  DonePtr wanted_;
  std::map<std::string, Metrics::Counter> counters_;
  std::vector<contract::Replica> shown_;
};

shared_payloads_impl::behavior_type shared_payloads(shared_payloads_impl::stateful_pointer<shared_payloads_state> self,
                                                    SharedPayloadsConfig config);

}  // namespace towline::driver
