#include "libs/p2p/mesh.hpp"

#include <algorithm>

namespace towline::p2p {
namespace {

std::size_t size_of(int n) { return static_cast<std::size_t>(n); }

}  // namespace

bool Mesh::admits(double score, bool outbound, const Degrees& degrees) const {
  return score >= 0 && (outbound || members_.size() < size_of(degrees.d_high));
}

Mesh::Changes Mesh::maintain(const Degrees& degrees, const Peers& peers, std::mt19937_64& random) {
  ++heartbeats_;
  Changes out;
  for (const auto& p : std::vector<PeerId>{members_.begin(), members_.end()})
    if (peers.score(p) < 0) prune(p, out);
  const auto outbound = [&] { return std::count_if(members_.begin(), members_.end(), peers.outbound); };
  if (members_.size() < size_of(degrees.d_low)) {
    for (const auto& p : peers.candidates()) {
      if (members_.size() >= size_of(degrees.d)) break;
      graft(p, out);
    }
  } else if (members_.size() > size_of(degrees.d_high)) {
    shrink(degrees, peers, random, out);
  } else if (outbound() < degrees.d_out) {
    for (const auto& p : peers.candidates()) {
      if (outbound() >= degrees.d_out) break;
      if (peers.outbound(p)) graft(p, out);
    }
  }
  if (heartbeats_ % kOpportunisticHeartbeats == 0 && members_.size() > 1) graft_better(peers, out);
  return out;
}

void Mesh::shrink(const Degrees& degrees, const Peers& peers, std::mt19937_64& random, Changes& out) {
  std::vector<PeerId> members{members_.begin(), members_.end()};
  std::shuffle(members.begin(), members.end(), random);
  std::stable_sort(members.begin(), members.end(),
                   [&](const PeerId& a, const PeerId& b) { return peers.score(a) > peers.score(b); });
  std::shuffle(members.begin() + degrees.d_score, members.end(), random);
  // The first d stay. Peers that we dialled are moved to the front until d_out of them stay.
  const auto pruned = members.begin() + degrees.d;
  auto outbound = std::count_if(members.begin(), pruned, peers.outbound);
  for (auto spare = pruned; spare != members.end() && outbound < degrees.d_out; ++spare) {
    if (!peers.outbound(*spare)) continue;
    const auto inbound = std::find_if(std::make_reverse_iterator(pruned), members.rend(),
                                      [&](const PeerId& p) { return !peers.outbound(p); });
    std::iter_swap(spare, inbound);
    ++outbound;
  }
  for (auto p = pruned; p != members.end(); ++p) prune(*p, out);
}

void Mesh::graft_better(const Peers& peers, Changes& out) {
  std::vector<double> scores;
  for (const auto& p : members_) scores.push_back(peers.score(p));
  const auto middle = scores.begin() + static_cast<std::ptrdiff_t>(scores.size() / 2);
  std::nth_element(scores.begin(), middle, scores.end());
  const double median = *middle;
  if (median >= kOpportunisticThreshold) return;
  int n = 0;
  for (const auto& p : peers.candidates()) {
    if (n == kOpportunisticPeers) break;
    const bool just_pruned = std::find(out.pruned.begin(), out.pruned.end(), p) != out.pruned.end();
    if (peers.score(p) <= median || just_pruned) continue;
    graft(p, out);
    ++n;
  }
}

void Mesh::graft(const PeerId& peer, Changes& out) {
  members_.insert(peer);
  out.grafted.push_back(peer);
}

void Mesh::prune(const PeerId& peer, Changes& out) {
  members_.erase(peer);
  out.pruned.push_back(peer);
}

}  // namespace towline::p2p
