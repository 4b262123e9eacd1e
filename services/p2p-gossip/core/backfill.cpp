#include "services/p2p-gossip/core/backfill.hpp"

#include <algorithm>

namespace towline::gossip {
namespace {

constexpr absl::Duration kAskAgain = absl::Seconds(5), kShunFailed = absl::Minutes(1), kShunLiar = absl::Hours(1);
/// A chain has one block of a height, or two; more are an equivocating signer's.
constexpr std::size_t kMaxPerHeight = 8;

}  // namespace

void Backfill::on_block(const eth::BlockRef& block) {
  // Only a signed block can be the highest, and signers are believed.
  highest_ = std::max(highest_, block.number);
  if (block.number + kDepth < highest_) return;
  auto& here = known_[block.number];
  if (here.size() < kMaxPerHeight) here.insert(block.hash);
  if (const auto m = missing_.find(block.number); m != missing_.end() && m->second.hash == block.hash)
    missing_.erase(m);
  if (block.number > 0) {
    const auto below = known_.find(block.number - 1);
    if (below == known_.end() || !below->second.contains(block.parent_hash)) {
      Missing& m = missing_[block.number - 1];
      if (m.hash != block.parent_hash) m = {block.parent_hash, {}};
    }
  }
  forget_old();
}

void Backfill::forget_old() {
  const std::uint64_t lowest = highest_ > kDepth ? highest_ - kDepth : 0;
  missing_.erase(missing_.begin(), missing_.lower_bound(lowest));
  known_.erase(known_.begin(), known_.lower_bound(lowest));
}

std::optional<Backfill::Ask> Backfill::next(const std::vector<p2p::PeerId>& servers, absl::Time now) {
  absl::erase_if(shunned_, [&](const auto& s) { return s.second <= now; });
  for (auto m = missing_.rbegin(); m != missing_.rend(); ++m) {
    if (now < m->second.not_before) continue;
    const auto peer = std::find_if(servers.begin(), servers.end(), [&](const p2p::PeerId& p) {
      return !shunned_.contains(p) && !m->second.asked.contains(p);
    });
    if (peer != servers.end()) {
      m->second.asked.insert(*peer);
      return Ask{*peer, {m->first, m->second.hash}};
    }
    m->second.asked.clear();
    m->second.not_before = now + kAskAgain;
  }
  return std::nullopt;
}

void Backfill::on_outcome(const Ask& ask, Outcome outcome, absl::Time now) {
  switch (outcome) {
    case Outcome::got:
    case Outcome::missing: return;
    case Outcome::failed: shunned_[ask.peer] = now + kShunFailed; return;
    case Outcome::lied: shunned_[ask.peer] = now + kShunLiar; return;
  }
}

}  // namespace towline::gossip
