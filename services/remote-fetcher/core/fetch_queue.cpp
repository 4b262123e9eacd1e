#include "services/remote-fetcher/core/fetch_queue.hpp"

namespace towline::fetcher {

std::optional<FetchQueue::Key> FetchQueue::next() {
  if (streams_.empty()) return std::nullopt;
  const std::size_t part = max_bytes_ / streams_.size();
  auto it = streams_.upper_bound(last_);
  for (std::size_t k = 0; k < streams_.size(); ++k, ++it) {
    if (it == streams_.end()) it = streams_.begin();
    Stream& s = it->second;
    if (s.waiting.empty()) continue;
    if (!s.batches.empty() && (held_ >= max_bytes_ || s.held >= part)) continue;
    const Waiting w = s.waiting.front();
    s.waiting.pop_front();
    s.batches[w.batch] = w.bytes;
    s.held += w.bytes;
    held_ += w.bytes;
    last_ = it->first;
    return Key{it->first, w.batch};
  }
  return std::nullopt;
}

void FetchQueue::on_size(const Key& k, std::size_t bytes) {
  const auto stream = streams_.find(k.stream);
  if (stream == streams_.end()) return;
  Stream& s = stream->second;
  const auto batch = s.batches.find(k.batch);
  if (batch == s.batches.end()) return;
  s.held = s.held - batch->second + bytes;
  held_ = held_ - batch->second + bytes;
  batch->second = bytes;
  if (bytes == 0) s.batches.erase(batch);
}

void FetchQueue::drop(std::uint64_t stream) {
  const auto it = streams_.find(stream);
  if (it == streams_.end()) return;
  held_ -= it->second.held;
  streams_.erase(it);
}

}  // namespace towline::fetcher
