// What the p2p network says: its signed blocks beside our chain and the source's word. Where a branch of them leaves
// our chain, whether it may be followed, and what the source would have to bring so that one goes on from there. Pure.
#pragma once
#include <absl/container/flat_hash_map.h>

#include <optional>
#include <vector>

#include "services/sync-coordinator/core/local_chain.hpp"
#include "services/sync-coordinator/core/remote_view.hpp"

namespace towline::coordinator {

class GossipView {
 public:
  /// `on`: unsafe blocks of the p2p network count. `most`: heights that are asked for at once.
  GossipView(bool on, std::size_t most) : on_{on}, most_{most} {}

  void on_block(const eth::BlockRef& block, const LocalChain& local, absl::Time now);
  /// What is at or below our safe block is of no use any more.
  void on_safe(const std::optional<eth::BlockRef>& safe);
  void expire(absl::Time now);
  /// How an import ended: its payloads are not all in the cache, a block is INVALID, or they became our head.
  void on_evicted(const eth::BlockId& base, const Hash32& tip) { blocks_.drop_lower_half(base, tip); }
  void on_invalid(const Hash32& block) { blocks_.drop(block); }
  void on_head(bool from_gossip) { head_from_gossip_ = from_gossip; }
  /// The source knows no way to `wanted`: gaps that end there are set aside for a while. False: there is none.
  bool on_gap_failed(const Hash32& wanted, const LocalChain& local, const RemoteView& remote, absl::Time now);
  /// The source's own head had its turn.
  void on_turn() { gaps_rest_ = false; }

  bool on() const { return on_; }
  const GossipBlocks& blocks() const { return blocks_; }
  /// Where our head came from last.
  bool head_from_gossip() const { return head_from_gossip_; }
  /// The highest block that was heard of.
  std::optional<eth::BlockRef> highest() const;
  /// A gap could not be filled: the source's own head has its turn, or several such gaps would keep it out for ever.
  bool gaps_rest() const { return gaps_rest_; }
  /// The block before those that wait for it, if there are any and the source has come so far.
  std::optional<eth::BlockRef> gap(const LocalChain& local, const RemoteView& remote) const;

  /// A block of our chain was named lately; which one it was.
  bool names_ours(const LocalChain& local, absl::Time now) const;
  const eth::BlockRef& named() const { return named_; }
  /// Whether the branch that leads up from our chain to `tip` holds what the source derived; nullopt: the source must
  /// be asked for `unknown` first.
  std::optional<bool> passes_derived(const eth::BlockRef& tip, const LocalChain& local, const RemoteView& remote,
                                     eth::BlockRef& unknown) const;
  /// Where the branch of `tip` leaves our chain; nullopt: not known exactly.
  std::optional<eth::BlockRef> fork_below(const eth::BlockRef& tip, const LocalChain& local) const;
  /// Heights at which our chain must be known to tell where the branch leaves it, and is not.
  std::vector<std::uint64_t> unknown_below(const GossipBlocks::Chain& branch, const LocalChain& local) const;

  /// A signed branch that is so much longer than ours is taken where nobody else has a word for either.
  static constexpr std::uint64_t kLonger = 2;

 private:
  /// Up to where the source would have to bring us so that this chain goes on from there.
  std::optional<eth::BlockRef> gap_below(const GossipBlocks::Chain& waiting, const LocalChain& local,
                                         const RemoteView& remote) const;

  const bool on_;
  const std::size_t most_;
  GossipBlocks blocks_;
  /// Lowest blocks of chains that the source knows no way to, and until when it is not asked again.
  absl::flat_hash_map<Hash32, absl::Time> gaps_aside_;
  bool gaps_rest_ = false;
  bool head_from_gossip_ = false;
  /// The block of our chain that was named last, and when.
  eth::BlockRef named_;
  absl::Time named_at_ = absl::InfinitePast();
};

}  // namespace towline::coordinator
