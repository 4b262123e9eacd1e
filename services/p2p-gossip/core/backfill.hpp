// Which blocks are missing below those that the network brought, and whom to ask for them. A block that was asked for
// is good if it has the hash that a good block names as its parent: so it goes down from a signed one. Pure.
#pragma once
#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>
#include <absl/container/flat_hash_map.h>
#include <absl/time/time.h>

#include <optional>
#include <vector>

#include "libs/eth/types.hpp"
#include "libs/p2p/peer_id.hpp"

namespace towline::gossip {

class Backfill {
 public:
  /// What lies further below the highest block is not asked for: the sources have it.
  static constexpr std::uint64_t kDepth = 64;

  struct Ask {
    p2p::PeerId peer;
    eth::BlockId block;
  };
  enum class Outcome {
    got,      // the block that was asked for
    missing,  // the peer has not got it
    failed,   // no answer, or another block
    lied,     // bytes that are no block at all, or not the one that they say
  };

  /// A block that is good, signed or asked for.
  void on_block(const eth::BlockRef& block);
  /// Whom to ask for what, one at a time; answer with on_outcome().
  std::optional<Ask> next(const std::vector<p2p::PeerId>& servers, absl::Time now);
  void on_outcome(const Ask& ask, Outcome outcome, absl::Time now);
  std::size_t missing() const { return missing_.size(); }

 private:
  struct Missing {
    Hash32 hash;
    absl::btree_set<p2p::PeerId> asked;
    /// All have been asked.
    absl::Time not_before = absl::InfinitePast();
  };
  void forget_old();
  /// By number, since a signer equivocates seldom: of two parents of one height the last one is asked for.
  absl::btree_map<std::uint64_t, Missing> missing_;
  absl::btree_map<std::uint64_t, absl::btree_set<Hash32>> known_;
  absl::flat_hash_map<p2p::PeerId, absl::Time> shunned_;
  std::uint64_t highest_ = 0;
};

}  // namespace towline::gossip
