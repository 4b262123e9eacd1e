// What the p2p network says: its signed blocks compared with our chain and the source. Tells where a gossiped branch
// leaves our chain, whether it may be followed, and which blocks the source has to fill in below it. Pure.
#pragma once
#include <absl/container/flat_hash_map.h>

#include <optional>
#include <vector>

#include "services/sync-coordinator/core/local_chain.hpp"
#include "services/sync-coordinator/core/remote_view.hpp"

namespace towline::coordinator {

class GossipView {
 public:
  /// `on`: unsafe blocks from the p2p network are used. `most`: heights asked for in one request.
  GossipView(bool on, std::size_t most) : on_{on}, most_{most} {}

  void on_block(const eth::BlockRef& block, const LocalChain& local, absl::Time now);
  /// Drops blocks at or below our safe block.
  void on_safe(const std::optional<eth::BlockRef>& safe);
  void expire(absl::Time now);
  /// Results of an import: payloads are missing in p2p-gossip's cache, a block is INVALID, or the blocks became our
  /// head.
  void on_evicted(const eth::BlockId& base, const Hash32& tip) { blocks_.drop_lower_half(base, tip); }
  void on_invalid(const Hash32& block) { blocks_.drop(block); }
  void on_head(bool from_gossip) { head_from_gossip_ = from_gossip; }
  /// The source knows no way to `wanted`: gaps that end there are skipped for a while. Returns false if there is no
  /// such gap.
  bool on_gap_failed(const Hash32& wanted, const LocalChain& local, const RemoteView& remote, absl::Time now);
  /// The source's own head has been tried.
  void on_turn() { gaps_rest_ = false; }

  bool on() const { return on_; }
  const GossipBlocks& blocks() const { return blocks_; }
  /// Whether our head came from gossip last.
  bool head_from_gossip() const { return head_from_gossip_; }
  /// The highest block seen; nullopt if none, or if gossip is off.
  std::optional<eth::BlockRef> highest() const;
  /// A gap could not be filled, so the source's own head is next. Otherwise several such gaps would keep it out for
  /// ever.
  bool gaps_rest() const { return gaps_rest_; }
  /// The block below a gossiped chain that waits for it; nullopt if no chain waits, or if the source has not reached
  /// that height.
  std::optional<eth::BlockRef> gap(const LocalChain& local, const RemoteView& remote) const;

  /// The p2p network named a block of our chain within the last 30 s; named() is that block.
  bool names_ours(const LocalChain& local, absl::Time now) const;
  const eth::BlockRef& named() const { return named_; }
  /// Whether the branch from our chain up to `tip` contains the blocks that the source derived. nullopt: the source
  /// must first be asked about `unknown`.
  std::optional<bool> passes_derived(const eth::BlockRef& tip, const LocalChain& local, const RemoteView& remote,
                                     eth::BlockRef& unknown) const;
  /// Where the branch of `tip` leaves our chain; nullopt if that is not known exactly.
  std::optional<eth::BlockRef> fork_below(const eth::BlockRef& tip, const LocalChain& local) const;
  /// Unknown heights of our chain that are needed to find where the branch leaves it.
  std::vector<std::uint64_t> unknown_below(const GossipBlocks::Chain& branch, const LocalChain& local) const;

  /// A signed branch this much longer than ours is followed when no source names either branch.
  static constexpr std::uint64_t kLonger = 2;

 private:
  /// The block up to which the source would have to bring us before this chain can continue.
  std::optional<eth::BlockRef> gap_below(const GossipBlocks::Chain& waiting, const LocalChain& local,
                                         const RemoteView& remote) const;

  const bool on_;
  const std::size_t most_;
  GossipBlocks blocks_;
  /// Lowest blocks of chains to which the source knows no way, and until when they are skipped.
  absl::flat_hash_map<Hash32, absl::Time> gaps_aside_;
  bool gaps_rest_ = false;
  bool head_from_gossip_ = false;
  /// The last named block of our chain, and when it was named.
  eth::BlockRef named_;
  absl::Time named_at_ = absl::InfinitePast();
};

}  // namespace towline::coordinator
