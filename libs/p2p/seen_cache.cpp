#include "libs/p2p/seen_cache.hpp"

namespace towline::p2p {

void SeenCache::add(const MessageId& id, absl::Time now) {
  rejected_[id] = false;
  oldest_first_.emplace_back(now, id);
  if (oldest_first_.size() > kMaxEntries) pop_oldest();
}

void SeenCache::mark_rejected(const MessageId& id) {
  if (const auto it = rejected_.find(id); it != rejected_.end()) it->second = true;
}

bool SeenCache::is_rejected(const MessageId& id) const {
  const auto it = rejected_.find(id);
  return it != rejected_.end() && it->second;
}

void SeenCache::expire(absl::Time now) {
  while (!oldest_first_.empty() && now - oldest_first_.front().first > kLifetime) pop_oldest();
}

void SeenCache::pop_oldest() {
  rejected_.erase(oldest_first_.front().second);
  oldest_first_.pop_front();
}

}  // namespace towline::p2p
