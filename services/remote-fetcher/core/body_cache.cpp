#include "services/remote-fetcher/core/body_cache.hpp"

#include <algorithm>

namespace towline::fetcher {
namespace {

std::size_t size_of(const Served& s) {
  std::size_t out = 1024;
  for (const Bytes& t : s.payload.transactions) out += t.size() + sizeof(Bytes);
  return out;
}

}  // namespace

ServedPtr BodyCache::find(const Hash32& hash) {
  const auto it = by_hash_.find(hash);
  if (it == by_hash_.end()) return nullptr;
  used_.splice(used_.begin(), used_, it->second);
  return it->second->served;
}

void BodyCache::put(const Hash32& hash, const ServedPtr& served) {
  if (by_hash_.contains(hash)) return;
  used_.push_front({hash, served, size_of(*served)});
  by_hash_[hash] = used_.begin();
  bytes_ += used_.front().bytes;
  while (bytes_ > limit()) {
    bytes_ -= used_.back().bytes;
    by_hash_.erase(used_.back().hash);
    used_.pop_back();
  }
}

std::vector<std::size_t> BodyCache::begin(const Key& k, std::vector<Hash32> blocks) {
  streams_.insert(k.stream);
  Batch& b = batches_[k];
  b.blocks = std::move(blocks);
  b.got.resize(b.blocks.size());
  b.missing = b.blocks.size();
  std::vector<std::size_t> fetch;
  for (std::size_t i = 0; i < b.blocks.size(); ++i) {
    const Hash32& hash = b.blocks[i];
    if (auto served = find(hash)) {
      // An answer in hex would have had two digits per byte.
      b.bytes += 2 * size_of(*served);
      b.got[i] = std::move(served);
      --b.missing;
    } else if (coming_.contains(hash)) {
      waiting_[hash].insert(k);
    } else {
      fetch.push_back(i);
      ++coming_[hash];
      fetching_[k].push_back(hash);
    }
  }
  if (b.missing == 0) finish(k);
  return fetch;
}

void BodyCache::give(const Key& k, const Hash32& hash, const ServedPtr& served, bool cached) {
  const auto it = batches_.find(k);
  if (it == batches_.end()) return;
  Batch& b = it->second;
  const auto i = static_cast<std::size_t>(std::find(b.blocks.begin(), b.blocks.end(), hash) - b.blocks.begin());
  if (i == b.blocks.size() || b.got[i]) return;
  b.got[i] = served;
  if (cached) b.bytes += 2 * size_of(*served);
  if (--b.missing == 0) finish(k);
}

void BodyCache::finish(const Key& k) {
  auto node = batches_.extract(k);
  done_.push_back({k, std::move(node.mapped().got), node.mapped().bytes});
}

void BodyCache::on_fetched(const Key& k, absl::StatusOr<std::vector<ServedPtr>> got, std::size_t bytes) {
  auto node = fetching_.extract(k);
  if (!node) return;
  const std::vector<Hash32>& blocks = node.mapped();
  if (const auto mine = batches_.find(k); mine != batches_.end()) mine->second.bytes += bytes;
  for (std::size_t j = 0; j < blocks.size(); ++j) {
    const auto coming = coming_.find(blocks[j]);
    if (--coming->second == 0) coming_.erase(coming);
    auto waiting = waiting_.extract(blocks[j]);
    const std::set<Key> others = waiting ? std::move(waiting.mapped()) : std::set<Key>{};
    if (got.ok()) {
      const ServedPtr& served = (*got)[j];
      put(blocks[j], served);
      give(k, blocks[j], served, false);
      for (const Key& other : others) give(other, blocks[j], served, true);
      continue;
    }
    // The others fetch the block themselves: the batch may have failed only because its caller is gone.
    for (const Key& other : others) {
      const auto it = batches_.find(other);
      if (it == batches_.end()) continue;
      const auto& theirs = it->second.blocks;
      again_[other].push_back(
          static_cast<std::size_t>(std::find(theirs.begin(), theirs.end(), blocks[j]) - theirs.begin()));
    }
  }
  if (!got.ok() && batches_.erase(k) > 0) {
    again_.erase(k);
    done_.push_back({k, got.status(), bytes});
  }
}

std::vector<std::pair<BodyCache::Key, std::vector<std::size_t>>> BodyCache::take_again() {
  std::vector<std::pair<Key, std::vector<std::size_t>>> out;
  for (auto it = again_.begin(); it != again_.end();) {
    const Key& k = it->first;
    // The batch is still fetching other blocks: wait for them.
    if (fetching_.contains(k)) {
      ++it;
      continue;
    }
    const auto batch = batches_.find(k);
    std::vector<std::size_t> fetch;
    if (batch != batches_.end()) {
      for (const std::size_t i : it->second) {
        if (batch->second.got[i]) continue;
        fetch.push_back(i);
        ++coming_[batch->second.blocks[i]];
        fetching_[k].push_back(batch->second.blocks[i]);
      }
    }
    if (!fetch.empty()) out.emplace_back(k, std::move(fetch));
    it = again_.erase(it);
  }
  return out;
}

void BodyCache::drop(std::uint64_t stream) {
  streams_.erase(stream);
  batches_.erase(batches_.lower_bound({stream, 0}), batches_.lower_bound({stream + 1, 0}));
}

}  // namespace towline::fetcher
