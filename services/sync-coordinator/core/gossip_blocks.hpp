// Recent signed unsafe blocks from the p2p network, reduced to what decisions need: their parent links. Bounded. Pure.
#pragma once
#include <absl/container/btree_set.h>
#include <absl/container/flat_hash_map.h>

#include <optional>
#include <vector>

#include "libs/eth/types.hpp"

namespace towline::coordinator {

class GossipBlocks {
 public:
  /// Far more than the distance between the unsafe and the safe head of a healthy chain. Beyond it the lowest blocks
  /// are dropped.
  static constexpr std::size_t kMaxBlocks = 1024;

  void add(const eth::BlockRef& b);
  /// Drops the block and its descendants.
  void drop(const Hash32& hash);
  /// The cache of p2p-gossip no longer leads from `base` to `tip`. That cache evicts the oldest blocks first: the lower
  /// half of the way is dropped, at least one block, and the rest waits until the source fills the gap.
  void drop_lower_half(const eth::BlockId& base, const Hash32& tip);
  /// Drops all blocks up to `number`, which are of no use any more.
  void drop_up_to(std::uint64_t number);

  const eth::BlockRef* find(const Hash32& hash) const;
  /// The parent of `b`, if known and exactly one lower. A signer may write any block number, and a walk down must end.
  const eth::BlockRef* parent_of(const eth::BlockRef& b) const;
  /// The highest known block that descends from `base` through known blocks; of equally high ones the first to arrive.
  std::optional<eth::BlockRef> tip_above(const eth::BlockId& base) const;
  /// The ancestor of `tip` at height `number`; the lowest known one if the walk ends above that height.
  const eth::BlockRef& ancestor(const eth::BlockRef& tip, std::uint64_t number) const;
  /// A block, and its lowest known ancestor.
  struct Chain {
    eth::BlockRef lowest, tip;
  };
  std::optional<Chain> highest() const;
  /// All chains, one for each lowest block, highest first. Valid until a block is added or dropped.
  const std::vector<Chain>& chains() const;
  std::size_t size() const { return blocks_.size(); }

 private:
  struct Entry {
    eth::BlockRef block;
    std::uint64_t arrival;
  };
  /// The ancestor of `b` that is the child of `base`, or the lowest known ancestor.
  const eth::BlockRef& root_of(const eth::BlockRef& b, const Hash32& base) const;
  void erase(const eth::BlockId& b);

  absl::flat_hash_map<Hash32, Entry> blocks_;
  absl::btree_set<std::pair<std::uint64_t, Hash32>> by_number_;
  std::uint64_t arrivals_ = 0;
  /// The chains of these blocks, once somebody has asked for them.
  mutable std::optional<std::vector<Chain>> chains_;
};

}  // namespace towline::coordinator
