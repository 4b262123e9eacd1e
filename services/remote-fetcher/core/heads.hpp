// Snapshots of remote heads: read from one answer, checked, and the choice whose snapshot to follow. Pure.
#pragma once
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <map>
#include <optional>
#include <string>

#include "libs/eth/types.hpp"
#include "libs/jsonrpc/jsonrpc.hpp"
#include "services/remote-fetcher/core/endpoint.hpp"

namespace towline::fetcher {

struct HeadSnapshot {
  std::string endpoint;
  Kind kind = Kind::el;
  std::optional<eth::BlockRef> unsafe, local_safe, safe, finalized;
  /// A CL only.
  std::optional<eth::BlockRef> current_l1;
  absl::Time observed;
  /// No endpoint that could be asked has the anchor's hash at its height.
  bool contradicts_anchor = false;
  std::string unknown_rules;
};

/// From the answers to eth_getBlockByNumber of latest, safe and finalized. Hashes are recomputed.
absl::StatusOr<HeadSnapshot> snapshot_from_el(const jsonrpc::Answers& answers);
/// From optimism_syncStatus.
absl::StatusOr<HeadSnapshot> snapshot_from_cl(simdjson::dom::element status);
/// DATA_LOSS: the labels are out of order.
absl::Status check_order(const HeadSnapshot& s);

/// Chooses one endpoint and stays with it while it is good: two honest endpoints are seldom at the same block.
class HeadChoice {
 public:
  explicit HeadChoice(absl::Duration stale_after) : stale_after_{stale_after} {}

  void put(HeadSnapshot s, bool contradicts_anchor);
  /// The endpoint failed, was set aside or cordoned.
  void drop(const std::string& endpoint) { views_.erase(endpoint); }
  /// The snapshot to follow; nullopt while there is none that is fresh. A CL goes before an EL.
  std::optional<HeadSnapshot> choose(absl::Time now);
  std::optional<HeadSnapshot> of(const std::string& endpoint) const;

 private:
  struct View {
    HeadSnapshot snapshot;
    bool contradicts = false;
  };
  const absl::Duration stale_after_;
  std::map<std::string, View> views_;
  std::string primary_;
};

}  // namespace towline::fetcher
