// What remote-fetcher reports of the remote chain. Pure values.
#pragma once
#include <absl/time/time.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "libs/eth/types.hpp"

namespace towline::contract {

/// What a URL serves. `both`: an execution and a consensus client behind one URL.
enum class EndpointKind { unknown, el, cl, both };
const char* name(EndpointKind k);
inline bool serves_blocks(EndpointKind k) { return k == EndpointKind::el || k == EndpointKind::both; }
inline bool serves_sync_status(EndpointKind k) { return k == EndpointKind::cl || k == EndpointKind::both; }

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
  /// Enough groups are heard, but they have different blocks.
  sources_disagree,
};

/// A source's unsafe head.
struct Lead {
  std::string endpoint;
  EndpointKind kind = EndpointKind::el;
  eth::BlockRef unsafe;
  bool operator==(const Lead&) const = default;
};

/// One view of the remote heads: by the vote of all sources, or of one source. Absent labels are not known.
struct HeadSnapshot {
  std::string endpoint;
  EndpointKind kind = EndpointKind::el;
  std::optional<eth::BlockRef> unsafe, local_safe, safe, finalized;
  /// From a CL only. Number 0 with a zero hash: the CL is still starting or replaying.
  std::optional<eth::BlockRef> current_l1;
  /// When the answer arrived, by steady_now().
  absl::Time observed;
  /// Of the vote; the snapshot of a single source has none. With `quorum_lost` the safe block is the one that the
  /// remaining groups agree on.
  Hold safe_hold = Hold::none, finalized_hold = Hold::none;
  /// Of the vote: the next sources to lead, in this order, if the head that this one names comes to nothing.
  std::vector<Lead> others;
  /// Of the vote: the number of configured trust groups with a vote on unsafe heads, and of those on this branch.
  std::size_t groups = 0, agree = 0;
  /// Of the vote: the highest block that most of several configured groups are known to have.
  std::optional<eth::BlockId> agreed;
  /// Of the vote: the earliest possible time, by the heads of most of several trust groups; InfinitePast: not known.
  absl::Time chain_time = absl::InfinitePast();
  /// A majority of the configured trust groups contradicts the subscriber's confirmed finalized block.
  bool contradicts_finalized = false;
  /// The check of block verification that every source fails; empty: there is none.
  std::string unknown_rules;
  /// Present where heads come, but no source serves the blocks that were asked for last.
  std::optional<SourceTrouble> blocks_trouble;
  bool operator==(const HeadSnapshot&) const = default;
};

}  // namespace towline::contract
