#include "services/sync-coordinator/core/local_chain.hpp"

#include <algorithm>

namespace towline::coordinator {
namespace {

constexpr std::size_t kRecentBlocks = 1024;
constexpr std::size_t kComparedBlocks = 64;

}  // namespace

std::optional<eth::BlockId> final_block(const contract::EngineState& s) {
  const auto& label = s.labels.finalized;
  if (label && (!s.confirmed_finalized || label->number > s.confirmed_finalized->number)) return label->id();
  return s.confirmed_finalized;
}

bool LocalChain::on_state(const contract::EngineState& s, const GossipBlocks& gossip) {
  const bool another = state_ && s.engine_session != state_->engine_session;
  if (another) {
    compared_.clear();
    restarted_ = true;
  }
  state_ = s;
  note_head(gossip);
  return another;
}

void LocalChain::on_labels(const contract::Labels& l, const GossipBlocks& gossip) {
  if (!state_) return;
  state_->labels = l;
  note_head(gossip);
}

void LocalChain::on_command_ended() {
  if (state_) state_->import.reset();
}

void LocalChain::on_lost(std::string why) {
  state_.reset();
  lost_ = std::move(why);
}

void LocalChain::on_compared(const eth::BlockRef& ours) {
  compared_[ours.number] = ours.hash;
  if (compared_.size() > kComparedBlocks) compared_.erase(compared_.begin());
}

bool LocalChain::on_asked(const std::vector<eth::BlockRef>& ours) {
  for (const eth::BlockRef& b : ours) recent_.emplace(b.number, b.hash);
  bound_recent();
  return std::any_of(ours.begin(), ours.end(), [&](const auto& b) { return recent_.contains(b.number); });
}

void LocalChain::bound_recent() {
  while (recent_.size() > kRecentBlocks) recent_.erase(recent_.begin());
}

void LocalChain::note_head(const GossipBlocks& gossip) {
  if (!has_head()) return;
  recent_.erase(recent_.upper_bound(head().number), recent_.end());
  const auto knows = [&](std::uint64_t number, const Hash32& hash) {
    const auto it = recent_.find(number);
    return it != recent_.end() && it->second == hash;
  };
  if (knows(head().number, head().hash)) return;
  // Walk down by parents until a known block is reached. If none is, the known blocks may all be off this chain.
  std::map<std::uint64_t, Hash32> way;
  auto linked = recent_.end();
  for (const eth::BlockRef* at = &head(); at != nullptr && at->number > 0 && linked == recent_.end();) {
    way[at->number] = at->hash;
    const std::uint64_t below = at->number - 1;
    if (knows(below, at->parent_hash)) linked = recent_.find(below);
    at = gossip.find(at->parent_hash);
    if (at != nullptr && at->number != below) break;
  }
  recent_.erase(linked == recent_.end() ? recent_.begin() : std::next(linked), recent_.end());
  recent_.merge(way);
  bound_recent();
}

std::optional<Hash32> LocalChain::ours_at(std::uint64_t number) const {
  if (!has_head()) return std::nullopt;
  for (const auto* known : {&recent_, &compared_})
    if (const auto it = known->find(number); it != known->end()) return it->second;
  for (const auto& label : {safe(), finalized()})
    if (label && label->number == number && number <= head().number) return label->hash;
  return std::nullopt;
}

std::optional<bool> LocalChain::has(const std::optional<eth::BlockRef>& block) const {
  const auto ours = block ? ours_at(block->number) : std::nullopt;
  return ours ? std::optional{*ours == block->hash} : std::nullopt;
}

eth::BlockId LocalChain::confirmed_finalized() const {
  const auto f = final_block(*state_);
  return f && f->number > genesis_.number ? *f : genesis_;
}

eth::BlockId LocalChain::search_floor() const {
  // A restarted EL below the finalized block has none of that chain: any block that it shares with the source will do.
  return head().number < confirmed_finalized().number ? genesis_ : confirmed_finalized();
}

}  // namespace towline::coordinator
