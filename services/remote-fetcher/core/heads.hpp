// Snapshots of remote heads: read from one answer, and checked. Pure.
#pragma once
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <optional>
#include <string>
#include <vector>

#include "libs/eth/types.hpp"
#include "libs/jsonrpc/jsonrpc.hpp"
#include "libs/rollup/config.hpp"
#include "services/remote-fetcher/core/endpoint.hpp"

namespace towline::fetcher {

/// Why sources cannot be used: a reason code of docs/errors.md, and one line for a person.
struct SourceTrouble {
  std::string code;
  std::string why;
  bool operator==(const SourceTrouble&) const = default;
};

/// Why a label of the vote stands where it is, although a source names a higher block.
enum class Hold {
  none,
  /// Fewer trust groups are heard than must agree.
  quorum_lost,
  /// They are heard, and have different blocks.
  sources_disagree,
};

/// A source's unsafe head.
struct Lead {
  std::string endpoint;
  Kind kind = Kind::el;
  eth::BlockRef unsafe;
  bool operator==(const Lead&) const = default;
};

struct HeadSnapshot {
  std::string endpoint;
  Kind kind = Kind::el;
  std::optional<eth::BlockRef> unsafe, local_safe, safe, finalized;
  /// A CL only.
  std::optional<eth::BlockRef> current_l1;
  absl::Time observed;
  /// Of the vote; a source's own word has none. A safe block that is held for `quorum_lost` is what the groups that are
  /// left agree on.
  Hold safe_hold = Hold::none, finalized_hold = Hold::none;
  /// Of the vote: who else may lead, in this order, if what this one names comes to nothing.
  std::vector<Lead> others;
  /// Of the vote: the trust groups that are configured with a vote on unsafe heads, and those of them on this branch.
  std::size_t groups = 0, agree = 0;
  /// Of the vote: the highest block that most of several configured groups are known to have.
  std::optional<eth::BlockId> agreed;
  /// Of the vote: it is not earlier, by the heads of most of several trust groups.
  absl::Time chain_time = absl::InfinitePast();
  /// A majority of the configured trust groups contradicts the subscriber's anchor.
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
/// A CL's way to tell of a block below its safe one.
jsonrpc::Call output_call(std::uint64_t number);
/// Of a block, or of the block of an output, as it is claimed.
std::optional<Hash32> hash_of(const jsonrpc::Answer& a);
/// DATA_LOSS: the labels are out of order.
absl::Status check_order(const HeadSnapshot& s);

/// FAILED_PRECONDITION: a block's time is not what its number says (genesis time + number x block time, a rule of OP
/// derivation), or more than a minute after `now`: nobody can have made it yet.
absl::Status check_times(const HeadSnapshot& s, const rollup::Config& chain, absl::Time now);

/// Same endpoint, same blocks; only the time of the look may differ.
bool same_heads(const HeadSnapshot& a, const HeadSnapshot& b);

}  // namespace towline::fetcher
