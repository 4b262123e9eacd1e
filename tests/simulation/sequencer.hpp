// The sequencer's blocks: the chain, and a rival branch that it also signs or has left. It also records every block
// that anybody made, so that each is known by its hash alone.
#pragma once
#include <vector>

#include "libs/eth/types.hpp"

namespace towline::simulation {

/// The maker and the validity of a block.
enum class Make {
  /// Made by the sequencer.
  real,
  /// Made by a lying source; it executes.
  forged,
  /// Made by a lying source; the EL calls it INVALID.
  invalid,
};

class Sequencer {
 public:
  explicit Sequencer(const eth::BlockRef& genesis) : chain_{genesis}, made_{{genesis, Make::real}} {}

  void extend(std::uint64_t blocks);
  /// Leaves the canonical chain after `ancestor` and grows by `blocks` on a new branch; the old branch is the rival.
  void reorg(std::uint64_t ancestor, std::uint64_t blocks);
  void raise_labels(std::uint64_t safe, std::uint64_t finalized);
  /// Signs a second branch beside the last `depth` blocks (not below safe), or more blocks of it.
  void equivocate(std::uint64_t depth);
  void extend_rival(std::uint64_t blocks);
  /// Swaps chain and rival. False: the rival leaves the chain below safe.
  bool swap_rival();

  /// Makes a block on `parent`.
  eth::BlockRef make(const eth::BlockRef& parent, Make what);
  /// Any block that was ever made.
  const eth::BlockRef& made(const Hash32& hash) const { return made_of(hash).block; }
  Make what(const Hash32& hash) const { return made_of(hash).what; }
  /// Whether `b` is `of` or an ancestor of it.
  bool on_chain_of(const eth::BlockId& b, const eth::BlockRef& of) const;

  const std::vector<eth::BlockRef>& chain() const { return chain_; }
  const std::vector<eth::BlockRef>& rival() const { return rival_; }
  bool has(const eth::BlockId& b) const { return b.number < chain_.size() && chain_[b.number].hash == b.hash; }
  const eth::BlockRef& tip() const { return chain_.back(); }
  const eth::BlockRef& safe() const { return chain_[safe_]; }
  const eth::BlockRef& finalized() const { return chain_[finalized_]; }

 private:
  struct Made {
    eth::BlockRef block;
    Make what;
  };
  const Made& made_of(const Hash32& hash) const;
  std::vector<eth::BlockRef> chain_;
  std::vector<eth::BlockRef> rival_;  // stands on a block of the chain
  std::uint64_t safe_ = 0;
  std::uint64_t finalized_ = 0;
  std::vector<Made> made_;  // a block's hash contains its index
};

/// The first block; after it comes a block each second.
eth::BlockRef genesis_block();

}  // namespace towline::simulation
