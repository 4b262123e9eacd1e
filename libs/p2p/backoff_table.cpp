#include "libs/p2p/backoff_table.hpp"

#include <algorithm>

namespace towline::p2p {

void BackoffTable::add(std::size_t topic, const PeerId& peer, absl::Duration d, absl::Time now) {
  if (until_.size() >= kMaxEntries)
    absl::erase_if(until_, [&](const auto& b) { return b.second < now || !connected_(b.first.second); });
  const absl::Time until = now + d + kSlack;
  if (const auto it = until_.find({topic, peer}); it != until_.end()) {
    it->second = std::max(it->second, until);
  } else if (until_.size() < kMaxEntries) {
    until_[{topic, peer}] = until;
  }
}

bool BackoffTable::active(std::size_t topic, const PeerId& peer, absl::Time now) const {
  const auto it = until_.find({topic, peer});
  return it != until_.end() && now < it->second;
}

absl::Duration BackoffTable::left_for_peer(std::size_t topic, const PeerId& peer, absl::Time now) const {
  const auto it = until_.find({topic, peer});
  return it == until_.end() ? absl::ZeroDuration() : std::max(absl::ZeroDuration(), it->second - kSlack - now);
}

void BackoffTable::expire(absl::Time now) {
  absl::erase_if(until_, [&](const auto& b) { return b.second < now; });
}

}  // namespace towline::p2p
