// The signed unsafe blocks that the p2p network brought lately, as far as decisions need them: who stands on whom.
// Bounded. Pure.
#pragma once
#include <absl/container/btree_set.h>
#include <absl/container/flat_hash_map.h>

#include <optional>
#include <vector>

#include "libs/eth/types.hpp"

namespace towline::coordinator {

class GossipBlocks {
 public:
  /// Far more than lie between the unsafe and the safe head of a healthy chain; of a branch that runs away the oldest
  /// go.
  static constexpr std::size_t kMaxBlocks = 1024;

  void add(const eth::BlockRef& b);
  /// The block and whatever stands on it.
  void drop(const Hash32& hash);
  /// The cache does not lead from `base` to `tip` any more. It loses the oldest blocks first: the lower half of the way
  /// goes, at least one block, and what stands on it waits for the source to fill the gap.
  void drop_lower_half(const eth::BlockId& base, const Hash32& tip);
  /// What is not above `number` is of no use any more.
  void drop_up_to(std::uint64_t number);

  const eth::BlockRef* find(const Hash32& hash) const;
  /// If it is here and one lower: a signer may write any number, and a way down must end.
  const eth::BlockRef* parent_of(const eth::BlockRef& b) const;
  /// The highest block that stands on `base` by way of blocks that are here; of two the one that came first.
  std::optional<eth::BlockRef> tip_above(const eth::BlockId& base) const;
  /// Of `tip`, at that height; the lowest that is here if the way ends above.
  const eth::BlockRef& ancestor(const eth::BlockRef& tip, std::uint64_t number) const;
  /// The highest block of all, and the lowest that it stands on by way of blocks that are here.
  struct Chain {
    eth::BlockRef lowest, tip;
  };
  std::optional<Chain> highest() const;
  /// All of them, one for each lowest block, highest first.
  std::vector<Chain> chains() const;
  std::size_t size() const { return blocks_.size(); }

 private:
  struct Entry {
    eth::BlockRef block;
    std::uint64_t arrival;
  };
  /// Down from `b` to the lowest that is here, or to the one that stands on `base`.
  const eth::BlockRef& root_of(const eth::BlockRef& b, const Hash32& base) const;

  absl::flat_hash_map<Hash32, Entry> blocks_;
  absl::btree_set<std::pair<std::uint64_t, Hash32>> by_number_;
  std::uint64_t arrivals_ = 0;
};

}  // namespace towline::coordinator
