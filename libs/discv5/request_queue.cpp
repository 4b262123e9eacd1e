#include "libs/discv5/request_queue.hpp"

#include <algorithm>

namespace towline::discv5 {

bool RequestQueue::has_room(const NodeId& node) const {
  const auto it = by_node_.find(node);
  return it == by_node_.end() ? by_node_.size() < kMaxNodes : it->second.size() < kMaxPerNode;
}

Request* RequestQueue::push(Request r) {
  auto& queue = by_node_[r.to.id];
  queue.push_back(std::move(r));
  return queue.size() == 1 ? &queue.front() : nullptr;
}

Request* RequestQueue::challenged_by(const Nonce& nonce, const SocketAddress& from) {
  const auto it = std::find_if(by_node_.begin(), by_node_.end(), [&](const auto& entry) {
    const Request& r = entry.second.front();
    return r.nonce == nonce && r.to.address == from && !r.challenged;
  });
  return it == by_node_.end() ? nullptr : &it->second.front();
}

Request* RequestQueue::answered_by(const SessionId& from, const RequestId& id) {
  Request* r = front(from.node);
  return r != nullptr && r->id == id && r->to.address == from.address ? r : nullptr;
}

Request RequestQueue::pop(const NodeId& node) {
  const auto it = by_node_.find(node);
  Request r = std::move(it->second.front());
  it->second.pop_front();
  if (it->second.empty()) by_node_.erase(it);
  return r;
}

Request* RequestQueue::front(const NodeId& node) {
  const auto it = by_node_.find(node);
  return it == by_node_.end() ? nullptr : &it->second.front();
}

std::deque<Request> RequestQueue::drop(const NodeId& node) {
  const auto it = by_node_.find(node);
  if (it == by_node_.end()) return {};
  std::deque<Request> out = std::move(it->second);
  by_node_.erase(it);
  return out;
}

std::vector<NodeId> RequestQueue::late(absl::Time now) const {
  std::vector<NodeId> out;
  for (const auto& [node, queue] : by_node_)
    if (now >= queue.front().deadline) out.push_back(node);
  return out;
}

}  // namespace towline::discv5
