#include "libs/p2p/validation_queue.hpp"

namespace towline::p2p {

bool ValidationQueue::has_room(const PeerId& from, std::size_t bytes) const {
  const auto it = waiting_of_.find(from);
  const std::size_t waiting = it == waiting_of_.end() ? 0 : it->second;
  if (waiting >= max_messages_ / kShares) return false;
  const auto limit = [&](std::size_t all) { return waiting == 0 ? all : all - all / kShares; };
  return entries_.size() < limit(max_messages_) && bytes_ + bytes <= limit(max_bytes_);
}

void ValidationQueue::add(const MessageId& id, std::size_t topic, SharedBytes data, std::size_t bytes,
                          const PeerId& from, absl::Time now) {
  // The message may wait although the seen cache forgot it, as a full cache does.
  if (entries_.contains(id)) return add_sender(id, from);
  entries_[id] = {topic, std::move(data), bytes, {from}, now + kLifetime};
  bytes_ += bytes;
  ++waiting_of_[from];
}

void ValidationQueue::add_sender(const MessageId& id, const PeerId& from) {
  if (const auto it = entries_.find(id); it != entries_.end() && it->second.senders.size() < kMaxSenders)
    it->second.senders.push_back(from);
}

std::optional<ValidationQueue::Entry> ValidationQueue::take(const MessageId& id) {
  const auto it = entries_.find(id);
  if (it == entries_.end()) return std::nullopt;
  return take(it);
}

ValidationQueue::Entry ValidationQueue::take(Entries::iterator it) {
  Entry e = std::move(it->second);
  entries_.erase(it);
  bytes_ -= e.bytes;
  if (const auto n = waiting_of_.find(e.senders.front()); --n->second == 0) waiting_of_.erase(n);
  return e;
}

std::size_t ValidationQueue::expire(absl::Time now) {
  std::size_t dropped = 0;
  for (auto it = entries_.begin(); it != entries_.end();) {
    const auto entry = it++;
    if (now < entry->second.until) continue;
    take(entry);
    ++dropped;
  }
  return dropped;
}

}  // namespace towline::p2p
