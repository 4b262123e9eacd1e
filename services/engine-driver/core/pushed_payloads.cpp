#include "services/engine-driver/core/pushed_payloads.hpp"

#include <algorithm>
#include <vector>

namespace towline::driver {

void PushedPayloads::put(PreparedPayload p) {
  newest_ = p.ref.number;
  bytes_ += p.body.size();
  all_.push_back(std::move(p));
  while (all_.size() > 1 && (all_.size() > kMost || bytes_ > kMostBytes)) {
    bytes_ -= all_.front().body.size();
    all_.pop_front();
  }
}

std::deque<PreparedPayload> PushedPayloads::take(const eth::BlockId& parent, const eth::BlockId& tip) {
  std::vector<std::deque<PreparedPayload>::iterator> found;  // from the tip down
  for (Hash32 at = tip.hash; at != parent.hash; at = found.back()->ref.parent_hash) {
    const auto it = std::find_if(all_.begin(), all_.end(), [&](const PreparedPayload& p) { return p.ref.hash == at; });
    if (it == all_.end() || it->ref.number <= parent.number || it->ref.number != tip.number - found.size()) return {};
    found.push_back(it);
  }
  std::deque<PreparedPayload> out;
  for (const auto& it : found) {
    bytes_ -= it->body.size();
    out.push_front(std::move(*it));
  }
  std::erase_if(all_, [&](const PreparedPayload& p) {
    return std::any_of(out.begin(), out.end(), [&](const PreparedPayload& o) { return o.ref.hash == p.ref.hash; });
  });
  return out;
}

}  // namespace towline::driver
