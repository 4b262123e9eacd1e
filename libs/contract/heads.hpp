// What remote-fetcher tells of the remote chain. Pure values.
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
  /// They are heard, and have different blocks.
  sources_disagree,
};

/// A source's unsafe head.
struct Lead {
  std::string endpoint;
  EndpointKind kind = EndpointKind::el;
  eth::BlockRef unsafe;
  bool operator==(const Lead&) const = default;
};

struct HeadSnapshot {
  std::string endpoint;
  EndpointKind kind = EndpointKind::el;
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
  /// A majority of the configured trust groups contradicts the subscriber's confirmed finalized block.
  bool contradicts_finalized = false;
  /// Every source fails the same check of block verification; empty: not so.
  std::string unknown_rules;
  /// Heads come, but no source serves the blocks that were asked for last.
  std::optional<SourceTrouble> blocks_trouble;
  bool operator==(const HeadSnapshot&) const = default;
};

}  // namespace towline::contract
