// What the coordinator's actors ask of other services. No call blocks; its callback runs once, on a thread of gRPC:
// hand over and return. The edge implements them over gRPC.
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
  virtual void canonical_blocks(const std::vector<std::uint64_t>& numbers, Done<std::vector<eth::BlockRef>> done) = 0;
  virtual void import(const Import& e, Done<contract::CommandResult> done) = 0;
  virtual void set_forkchoice(const SetForkchoice& e, Done<contract::CommandResult> done) = 0;
  virtual void rewind(const Rewind& e, Done<contract::CommandResult> done) = 0;
  virtual void start_el_sync(const StartElSync& e, Done<contract::CommandResult> done) = 0;
  /// States until the driver is lost.
  virtual void watch(std::function<void(const contract::EngineState&)> on_state, OnEnd on_end) = 0;
};

/// The remote-fetcher.
class FetcherClient {
 public:
  virtual ~FetcherClient() = default;
  virtual void headers(const std::vector<std::uint64_t>& numbers, const std::string& endpoint,
                       Done<std::vector<eth::BlockRef>> done) = 0;
  /// The heads of every source that is in use.
  virtual void sources(Done<std::vector<Witness::OtherHead>> done) = 0;
  struct HeadEvents {
    std::function<void(const contract::HeadSnapshot&)> on_snapshot;
    std::function<void(const contract::SourceTrouble&)> on_trouble;
    /// DEADLINE_EXCEEDED: it was open for as long as such a watch may be.
    OnEnd on_end;
  };
  /// Returns what ends the watch before its time.
  virtual std::function<void()> watch(const std::optional<eth::BlockId>& confirmed_finalized, HeadEvents events) = 0;
};

/// The p2p-gossip service.
class GossipClient {
 public:
  virtual ~GossipClient() = default;
  /// nullopt: the stream lives.
  virtual void watch(std::function<void(const std::optional<eth::BlockRef>&)> on_block, OnEnd on_end) = 0;
};

}  // namespace towline::coordinator
