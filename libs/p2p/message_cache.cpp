#include "libs/p2p/message_cache.hpp"

namespace towline::p2p {

void MessageCache::put(const MessageId& id, std::size_t topic, SharedBytes frame) {
  bytes_ += frame->size();
  oldest_first_.push_back({id, topic, std::move(frame), heartbeat_});
  index_[id] = &oldest_first_.back();
  while (bytes_ > max_bytes_ && oldest_first_.size() > 1) pop_oldest();
}

SharedBytes MessageCache::get(const MessageId& id) const {
  const auto it = index_.find(id);
  return it == index_.end() ? nullptr : it->second->frame;
}

std::vector<BytesView> MessageCache::gossip_ids(std::size_t topic, std::size_t max) const {
  std::vector<BytesView> out;
  for (const auto& e : oldest_first_)
    if (e.topic == topic && e.heartbeat + kGossipHeartbeats >= heartbeat_ && out.size() < max)
      out.push_back(e.id.view());
  return out;
}

void MessageCache::shift() {
  ++heartbeat_;
  while (!oldest_first_.empty() && oldest_first_.front().heartbeat + kHistoryHeartbeats < heartbeat_) pop_oldest();
}

void MessageCache::pop_oldest() {
  bytes_ -= oldest_first_.front().frame->size();
  index_.erase(oldest_first_.front().id);
  oldest_first_.pop_front();
}

}  // namespace towline::p2p
