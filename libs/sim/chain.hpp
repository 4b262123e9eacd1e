// A deterministic OP Stack chain with real hashes and roots: every block passes rollup::verify_block(). Pure.
#pragma once
#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "libs/eth/types.hpp"

namespace towline::sim {

struct ChainOptions {
  std::uint64_t seed = 1;
  std::uint64_t chain_id = 901'901;
  std::uint64_t genesis_time = 0;  // Unix seconds
  std::uint64_t block_time = 2;    // seconds
  std::size_t transactions = 5;    // a block, beside the L1-info deposit
  std::size_t input_bytes = 200;   // a transaction
  std::uint64_t unknown_each = 0;  // every N blocks end with a transaction of a type that nobody knows; 0: none
  Hash32 genesis_hash = {};        // what block 0 is called, to pose as another chain; zero: what it hashes to
};

struct Block {
  eth::Header header;
  Hash32 hash;
  std::vector<Bytes> transactions;
  eth::BlockRef ref() const { return {header.number, hash, header.parent_hash, header.timestamp}; }
};
using BlockPtr = std::shared_ptr<const Block>;

/// All forks up to Jovian are active from genesis on.
class Chain {
 public:
  explicit Chain(const ChainOptions& options);

  /// Builds the next block on the head. `malformed`: with a transaction more, which has a byte too many at its end.
  BlockPtr append(bool malformed = false);
  /// Drops the `depth` highest blocks and builds as many and one more on a new branch. `depth` is cut to what is above
  /// genesis; safe and finalized go down to the fork if they are above it.
  void reorg(std::uint64_t depth);
  /// Safe and finalized; cut to the head, finalized to safe.
  void set_labels(std::uint64_t safe, std::uint64_t finalized);

  const BlockPtr& head() const { return canonical_.back(); }
  const BlockPtr& safe() const { return canonical_[safe_]; }
  const BlockPtr& finalized() const { return canonical_[finalized_]; }
  /// On the canonical chain; null: none.
  BlockPtr by_number(std::uint64_t number) const;
  /// On any branch; null: none.
  BlockPtr by_hash(const Hash32& hash) const;

  /// The L1 block that `number` was made from.
  eth::BlockRef l1_origin(std::uint64_t number) const;
  /// rollup.json, as op-node takes it.
  std::string rollup_json() const;
  const ChainOptions& options() const { return options_; }

 private:
  eth::BlockRef l1_block(std::uint64_t number) const;
  Bytes l1_info(std::uint64_t number) const;

  ChainOptions options_;
  std::uint64_t branch_ = 0;         // makes the blocks of each branch different
  std::vector<BlockPtr> canonical_;  // by number
  absl::flat_hash_map<Hash32, BlockPtr> blocks_;
  std::uint64_t safe_ = 0;
  std::uint64_t finalized_ = 0;
};

}  // namespace towline::sim
