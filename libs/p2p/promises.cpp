#include "libs/p2p/promises.hpp"

#include <algorithm>

#include "libs/p2p/seen_cache.hpp"

namespace towline::p2p {
namespace {

auto find(const auto& promises, const MessageId& id) {
  return std::find_if(promises.begin(), promises.end(), [&](const auto& p) { return p.first == id; });
}

}  // namespace

bool Promises::may_ask(const PeerId& peer, const MessageId& id, absl::Time now) const {
  if (const auto a = asked_.find(id); a != asked_.end() && now - a->second < kAskOther) return false;
  const auto p = by_peer_.find(peer);
  return p == by_peer_.end() || find(p->second, id) == p->second.end();
}

void Promises::asked(const MessageId& id, absl::Time now) {
  if (asked_.size() < kMaxAsked) asked_[id] = now;
}

void Promises::add(const PeerId& peer, const MessageId& id, absl::Time now) {
  auto& promises = by_peer_[peer];
  if (promises.size() < kMaxPerPeer) promises.emplace_back(id, now + kTime);
}

void Promises::delivered(const PeerId& peer, const MessageId& id) {
  const auto it = by_peer_.find(peer);
  if (it == by_peer_.end()) return;
  auto& promises = it->second;
  const auto kept = find(promises, id);
  promises.erase(kept == promises.end() ? promises.cbegin() : kept);
  if (promises.empty()) by_peer_.erase(it);
}

std::vector<PeerId> Promises::expire(const SeenCache& seen, absl::Time now) {
  std::vector<PeerId> broken;
  for (auto& [peer, promises] : by_peer_) {
    for (; !promises.empty() && now >= promises.front().second; promises.pop_front())
      if (!seen.contains(promises.front().first)) broken.push_back(peer);
  }
  absl::erase_if(by_peer_, [](const auto& p) { return p.second.empty(); });
  absl::erase_if(asked_, [&](const auto& a) { return now - a.second >= kTime; });
  return broken;
}

}  // namespace towline::p2p
