// The calls of the coordinator's actors to other services. No call blocks. Each callback runs once, on a gRPC thread:
// it must hand over and return. The edge implements these interfaces over gRPC.
#pragma once
#include <absl/status/statusor.h>

#include <functional>
#include <string>
#include <vector>

#include "services/sync-coordinator/core/readiness.hpp"

namespace towline::coordinator {

template <class T>
using Done = std::function<void(absl::StatusOr<T>)>;
using OnEnd = std::function<void(absl::Status)>;

/// One engine-driver.
class DriverClient {
 public:
  virtual ~DriverClient() = default;
  /// The EL's canonical blocks at `numbers`; missing ones are left out.
  virtual void canonical_blocks(const std::vector<std::uint64_t>& numbers, Done<std::vector<eth::BlockRef>> done) = 0;
  virtual void import(const Import& e, Done<contract::CommandResult> done) = 0;
  virtual void set_forkchoice(const SetForkchoice& e, Done<contract::CommandResult> done) = 0;
  virtual void rewind(const Rewind& e, Done<contract::CommandResult> done) = 0;
  virtual void start_el_sync(const StartElSync& e, Done<contract::CommandResult> done) = 0;
  /// Reports states until the connection to the driver is lost.
  virtual void watch(std::function<void(const contract::EngineState&)> on_state, OnEnd on_end) = 0;
};

/// The remote-fetcher.
class FetcherClient {
 public:
  virtual ~FetcherClient() = default;
  /// Headers at `numbers`, all from one endpoint, preferably `endpoint`; missing ones are left out.
  virtual void headers(const std::vector<std::uint64_t>& numbers, const std::string& endpoint,
                       Done<std::vector<eth::BlockRef>> done) = 0;
  /// The heads of all sources that are ready.
  virtual void sources(Done<std::vector<Witness::OtherHead>> done) = 0;
  struct HeadEvents {
    std::function<void(const contract::HeadSnapshot&)> on_snapshot;
    std::function<void(const contract::SourceTrouble&)> on_trouble;
    /// DEADLINE_EXCEEDED: the watch reached its regular time limit.
    OnEnd on_end;
  };
  /// Returns a function that closes the watch early.
  virtual std::function<void()> watch(const std::optional<eth::BlockId>& confirmed_finalized, HeadEvents events) = 0;
};

/// The p2p-gossip service.
class GossipClient {
 public:
  virtual ~GossipClient() = default;
  /// Reports blocks; nullopt is a keep-alive.
  virtual void watch(std::function<void(const std::optional<eth::BlockRef>&)> on_block, OnEnd on_end) = 0;
};

}  // namespace towline::coordinator
