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

/// Why sources cannot be used: a reason code of docs/errors.md, and one line for a person.
struct SourceTrouble {
  std::string code;
  std::string why;
  bool operator==(const SourceTrouble&) const = default;
};

struct HeadSnapshot {
  std::string endpoint;
  Kind kind = Kind::el;
  std::optional<eth::BlockRef> unsafe, local_safe, safe, finalized;
  /// A CL only.
  std::optional<eth::BlockRef> current_l1;
  absl::Time observed;
  /// Somebody contradicts the anchor and nobody agrees with it.
  bool contradicts_anchor = false;
  std::string unknown_rules;
  /// Heads come, but no source serves the blocks that were asked for last.
  std::optional<SourceTrouble> blocks_trouble;
};

/// From the answers to eth_getBlockByNumber of latest, safe and finalized. Hashes are recomputed.
absl::StatusOr<HeadSnapshot> snapshot_from_el(const jsonrpc::Answer& latest, const jsonrpc::Answer& safe,
                                              const jsonrpc::Answer& finalized);
/// From optimism_syncStatus.
absl::StatusOr<HeadSnapshot> snapshot_from_cl(simdjson::dom::element status);
/// DATA_LOSS: the labels are out of order.
absl::Status check_order(const HeadSnapshot& s);

/// Same endpoint, same blocks; only the time of the look may differ.
bool same_heads(const HeadSnapshot& a, const HeadSnapshot& b);

/// What an endpoint says of the block that the callers hold as final.
enum class AnchorView { unknown, agrees, contradicts };

/// Chooses one endpoint and stays with it while it is good: two honest endpoints are seldom at the same block.
class HeadChoice {
 public:
  /// Views older than `late_after` come after all others, as do heads that have stood still for `stalled_after` while
  /// another's moved on; views older than `stale_after` are not used.
  HeadChoice(absl::Duration late_after, absl::Duration stale_after, absl::Duration stalled_after)
      : late_after_{late_after}, stale_after_{stale_after}, stalled_after_{stalled_after} {}

  void put(HeadSnapshot s, AnchorView anchor);
  /// The endpoint was set aside or cordoned.
  void drop(const std::string& endpoint) { views_.erase(endpoint); }
  /// What ELs told before there was an anchor was not checked against it.
  void drop_unchecked();
  /// The snapshot to follow; nullopt while there is none that is fresh. One that contradicts the anchor comes last, a
  /// CL goes before an EL. contradicts_anchor: somebody contradicts it and nobody agrees.
  std::optional<HeadSnapshot> choose(absl::Time now);
  /// It contradicts the anchor and another agrees with it.
  bool outvoted(const std::string& endpoint, absl::Time now) const;
  /// Another EL's headers verify.
  bool others_verify(const std::string& endpoint, absl::Time now) const;
  std::optional<HeadSnapshot> of(const std::string& endpoint) const;
  /// Its head stands still, and another's has moved on since for `stalled_after`.
  bool stalled(const std::string& endpoint) const;

 private:
  struct View {
    HeadSnapshot snapshot;
    AnchorView anchor = AnchorView::unknown;
    /// Its highest unsafe head, and when that was seen first.
    std::uint64_t highest = 0;
    absl::Time moved;
  };
  bool stalled(const View& v) const;
  bool any(AnchorView anchor, absl::Time now) const;
  const absl::Duration late_after_, stale_after_, stalled_after_;
  std::map<std::string, View> views_;
  std::string primary_;
};

}  // namespace towline::fetcher
