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
  std::size_t transactions = 5;    // per block, beside the L1-info deposit
  std::size_t input_bytes = 200;   // per transaction
  std::uint64_t unknown_each = 0;  // every N blocks end with a transaction of an unknown type; 0: none
  Hash32 genesis_hash = {};        // the claimed hash of block 0, to pose as another chain; zero: its real hash
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

  /// Builds the next block on the head. `malformed`: with one more transaction, which has an extra byte at its end.
  BlockPtr append(bool malformed = false);
  /// Drops the `depth` highest blocks and builds `depth` + 1 on a new branch. `depth` is limited to the blocks above
  /// genesis; safe and finalized go down to the fork if they are above it.
  void reorg(std::uint64_t depth);
  /// Sets safe and finalized; safe is limited to the head, finalized to safe.
  void set_labels(std::uint64_t safe, std::uint64_t finalized);

  const BlockPtr& head() const { return canonical_.back(); }
  const BlockPtr& safe() const { return canonical_[safe_]; }
  const BlockPtr& finalized() const { return canonical_[finalized_]; }
  /// A block of the canonical chain; null: none.
  BlockPtr by_number(std::uint64_t number) const;
  /// A block of any branch; null: none.
  BlockPtr by_hash(const Hash32& hash) const;

  /// The L1 origin of block `number`.
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
