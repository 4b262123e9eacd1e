#include "services/sync-coordinator/core/gossip_blocks.hpp"

#include <absl/container/flat_hash_set.h>

namespace towline::coordinator {

void GossipBlocks::add(const eth::BlockRef& b) {
  if (!blocks_.try_emplace(b.hash, Entry{b, ++arrivals_}).second) return;
  by_number_.emplace(b.number, b.hash);
  chains_.reset();
  if (blocks_.size() > kMaxBlocks) erase({by_number_.begin()->first, by_number_.begin()->second});
}

void GossipBlocks::erase(const eth::BlockId& b) {
  by_number_.erase({b.number, b.hash});
  blocks_.erase(b.hash);
  chains_.reset();
}

void GossipBlocks::drop(const Hash32& hash) {
  std::vector<Hash32> todo{hash};
  while (!todo.empty()) {
    const Hash32 h = todo.back();
    todo.pop_back();
    if (const eth::BlockRef* b = find(h)) erase(b->id());
    for (const auto& [child, e] : blocks_)
      if (e.block.parent_hash == h) todo.push_back(child);
  }
}

void GossipBlocks::drop_lower_half(const eth::BlockId& base, const Hash32& tip) {
  std::vector<eth::BlockId> way;
  for (const eth::BlockRef* at = find(tip); at != nullptr && at->number > base.number; at = parent_of(*at))
    way.push_back(at->id());
  for (std::size_t i = way.size() / 2; i < way.size(); ++i) erase(way[i]);
}

void GossipBlocks::drop_up_to(std::uint64_t number) {
  while (!by_number_.empty() && by_number_.begin()->first <= number)
    erase({by_number_.begin()->first, by_number_.begin()->second});
}

const eth::BlockRef* GossipBlocks::find(const Hash32& hash) const {
  const auto it = blocks_.find(hash);
  return it == blocks_.end() ? nullptr : &it->second.block;
}

const eth::BlockRef* GossipBlocks::parent_of(const eth::BlockRef& b) const {
  const eth::BlockRef* parent = find(b.parent_hash);
  return parent != nullptr && parent->number + 1 == b.number ? parent : nullptr;
}

const eth::BlockRef& GossipBlocks::ancestor(const eth::BlockRef& tip, std::uint64_t number) const {
  const eth::BlockRef* at = &tip;
  while (at->number > number) {
    const eth::BlockRef* parent = parent_of(*at);
    if (parent == nullptr) break;
    at = parent;
  }
  return *at;
}

const eth::BlockRef& GossipBlocks::root_of(const eth::BlockRef& b, const Hash32& base) const {
  const eth::BlockRef* at = &b;
  while (at->parent_hash != base) {
    const eth::BlockRef* parent = parent_of(*at);
    if (parent == nullptr) break;
    at = parent;
  }
  return *at;
}

std::optional<eth::BlockRef> GossipBlocks::tip_above(const eth::BlockId& base) const {
  const Entry* best = nullptr;
  for (auto it = by_number_.rbegin(); it != by_number_.rend() && it->first > base.number; ++it) {
    const Entry& e = blocks_.at(it->second);
    if (best != nullptr && (e.block.number < best->block.number || e.arrival > best->arrival)) continue;
    const eth::BlockRef& root = root_of(e.block, base.hash);
    if (root.parent_hash == base.hash && root.number == base.number + 1) best = &e;
  }
  return best == nullptr ? std::nullopt : std::optional{best->block};
}

std::optional<GossipBlocks::Chain> GossipBlocks::highest() const {
  const Entry* best = nullptr;
  for (auto it = by_number_.rbegin(); it != by_number_.rend() && (best == nullptr || it->first == best->block.number);
       ++it) {
    const Entry& e = blocks_.at(it->second);
    if (best == nullptr || e.arrival < best->arrival) best = &e;
  }
  if (best == nullptr) return std::nullopt;
  return Chain{root_of(best->block, Hash32{}), best->block};
}

const std::vector<GossipBlocks::Chain>& GossipBlocks::chains() const {
  if (chains_) return *chains_;
  std::vector<Chain>& out = chains_.emplace();
  absl::flat_hash_set<Hash32> seen;
  for (auto it = by_number_.rbegin(); it != by_number_.rend(); ++it) {
    if (!seen.insert(it->second).second) continue;
    const eth::BlockRef& tip = blocks_.at(it->second).block;
    const eth::BlockRef* at = &tip;
    bool joins = false;
    for (const eth::BlockRef* parent = parent_of(*at); parent != nullptr && !joins; parent = parent_of(*at)) {
      at = parent;
      joins = !seen.insert(at->hash).second;
    }
    if (!joins) out.push_back({*at, tip});
  }
  return out;
}

}  // namespace towline::coordinator
