// What the follower's actor needs of the outside: blocking calls, made on threads of their own. The edge implements
// them over gRPC.
#pragma once
#include <absl/status/statusor.h>

#include <functional>
#include <string>
#include <vector>

#include "services/sync-coordinator/core/readiness.hpp"

namespace towline::coordinator {

/// One engine-driver. Calls block; `stop` makes them all return soon.
class DriverClient {
 public:
  virtual ~DriverClient() = default;
  virtual absl::StatusOr<std::vector<eth::BlockRef>> canonical_blocks(const std::vector<std::uint64_t>& numbers) = 0;
  virtual absl::StatusOr<contract::CommandResult> import(const Import& e) = 0;
  virtual absl::StatusOr<contract::CommandResult> set_forkchoice(const SetForkchoice& e) = 0;
  virtual absl::StatusOr<contract::CommandResult> rewind(const Rewind& e) = 0;
  /// Streams states until the driver is lost or stop(); returns why.
  virtual absl::Status watch(const std::function<void(const contract::EngineState&)>& on_state) = 0;
  virtual void stop() = 0;
};

/// The remote-fetcher, as above.
class FetcherClient {
 public:
  virtual ~FetcherClient() = default;
  virtual absl::StatusOr<std::vector<eth::BlockRef>> headers(const std::vector<std::uint64_t>& numbers,
                                                             const std::string& endpoint) = 0;
  /// The heads of every source that is in use.
  virtual absl::StatusOr<std::vector<Witness::OtherHead>> sources() = 0;
  /// Until `enough` says so when a message comes (OK), the deadline is over (DEADLINE_EXCEEDED), or the stream is lost.
  virtual absl::Status watch(const std::optional<eth::BlockId>& confirmed_finalized,
                             const std::function<void(const contract::HeadSnapshot&)>& on_snapshot,
                             const std::function<void(const contract::SourceTrouble&)>& on_trouble,
                             const std::function<bool()>& enough) = 0;
  virtual void stop() = 0;
};

/// The p2p-gossip service, as above.
class GossipClient {
 public:
  virtual ~GossipClient() = default;
  /// nullopt: the stream lives.
  virtual absl::Status watch(const std::function<void(const std::optional<eth::BlockRef>&)>& on_block) = 0;
  virtual void stop() = 0;
};

}  // namespace towline::coordinator
