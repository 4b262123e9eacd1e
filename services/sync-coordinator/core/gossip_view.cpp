#include "services/sync-coordinator/core/gossip_view.hpp"

#include <algorithm>

namespace towline::coordinator {
namespace {

/// How long a named block counts for our chain.
constexpr absl::Duration kFresh = absl::Seconds(30);
constexpr absl::Duration kGapAside = absl::Seconds(30);

}  // namespace

void GossipView::on_block(const eth::BlockRef& block, const LocalChain& local, absl::Time now) {
  blocks_.add(block);
  if (local.has(block) != true && !(local.has_head() && local.head().hash == block.parent_hash)) return;
  named_ = block;
  named_at_ = now;
}

void GossipView::on_safe(const std::optional<eth::BlockRef>& safe) {
  if (on_ && safe) blocks_.drop_up_to(safe->number);
}

void GossipView::expire(absl::Time now) {
  absl::erase_if(gaps_aside_, [&](const auto& g) { return now >= g.second; });
}

bool GossipView::on_gap_failed(const Hash32& wanted, const LocalChain& local, const RemoteView& remote,
                               absl::Time now) {
  for (const GossipBlocks::Chain& waiting : blocks_.chains()) {
    if (const auto g = gap_below(waiting, local, remote); !g || g->hash != wanted) continue;
    gaps_aside_[waiting.lowest.hash] = now + kGapAside;
    gaps_rest_ = true;
  }
  return gaps_rest_;
}

std::optional<eth::BlockRef> GossipView::highest() const {
  const auto chain = on_ ? blocks_.highest() : std::nullopt;
  return chain ? std::optional{chain->tip} : std::nullopt;
}

std::optional<eth::BlockRef> GossipView::gap(const LocalChain& local, const RemoteView& remote) const {
  if (!on_ || !remote.heads() || !local.has_head()) return std::nullopt;
  // An old branch may be higher than the growing one: take the first gap that the source can fill.
  for (const GossipBlocks::Chain& waiting : blocks_.chains()) {
    if (gaps_aside_.contains(waiting.lowest.hash)) continue;
    const auto g = gap_below(waiting, local, remote);
    if (g && number_of(remote.heads()->unsafe) >= g->number) return g;
  }
  return std::nullopt;
}

std::optional<eth::BlockRef> GossipView::gap_below(const GossipBlocks::Chain& waiting, const LocalChain& local,
                                                   const RemoteView& remote) const {
  const std::uint64_t head = local.head().number;
  const eth::BlockRef& lowest = waiting.lowest;
  if (lowest.number == 0) return std::nullopt;
  // A chain that stands on our own chain needs nothing from the source.
  if (lowest.number - 1 > head) return eth::BlockRef{lowest.number - 1, lowest.parent_hash, {}, lowest.timestamp};
  const auto ours = local.ours_at(lowest.number - 1);
  if (!ours || *ours == lowest.parent_hash || waiting.tip.number < head + kLonger) return std::nullopt;
  if (eth::BlockRef unknown; passes_derived(waiting.tip, local, remote, unknown) == false) return std::nullopt;
  // The chain leaves ours further down. Only blocks above our head are progress.
  return blocks_.ancestor(waiting.tip, head + 1);
}

bool GossipView::names_ours(const LocalChain& local, absl::Time now) const {
  return now - named_at_ <= kFresh && local.has(named_) == true;
}

std::optional<bool> GossipView::passes_derived(const eth::BlockRef& tip, const LocalChain& local,
                                               const RemoteView& remote, eth::BlockRef& unknown) const {
  for (const eth::BlockRef& b : remote.derived()) {
    if (b.number > tip.number) continue;
    const eth::BlockRef& at = blocks_.ancestor(tip, b.number);
    const auto on = at.number == b.number       ? at.hash == b.hash
                    : at.number == b.number + 1 ? at.parent_hash == b.hash
                                                : local.has(b);
    if (on == false) return false;
    if (on || !remote.heads() || remote.replaying()) continue;  // no source can be asked
    unknown = b;
    return std::nullopt;
  }
  return true;
}

std::optional<eth::BlockRef> GossipView::fork_below(const eth::BlockRef& tip, const LocalChain& local) const {
  for (const eth::BlockRef* at = &tip; at != nullptr && at->number > 0; at = blocks_.parent_of(*at)) {
    const eth::BlockRef below{at->number - 1, at->parent_hash, {}, 0};
    if (local.has(below) != true) continue;
    return local.has(*at) == false ? std::optional{below} : std::nullopt;
  }
  return std::nullopt;
}

std::vector<std::uint64_t> GossipView::unknown_below(const GossipBlocks::Chain& branch, const LocalChain& local) const {
  std::vector<std::uint64_t> out;
  const std::uint64_t head = local.head().number;
  for (std::uint64_t n = branch.lowest.number - std::min<std::uint64_t>(branch.lowest.number, 1);
       n <= std::min(head, branch.tip.number) && out.size() < most_; ++n) {
    const auto ours = local.ours_at(n);
    if (!ours) out.push_back(n);
    // The branch stands on a block that is not ours: asking about our chain does not help.
    if (ours && n < branch.lowest.number && *ours != branch.lowest.parent_hash) return {};
  }
  return out;
}

}  // namespace towline::coordinator
