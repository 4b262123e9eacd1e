// The recent blocks that passed the validation: a cache by hash for those who want payloads, and a log for those who
// watch. Bounded in bytes and count. The validator writes, gRPC handlers read and wait. Thread safe.
#pragma once
#include <absl/container/flat_hash_map.h>
#include <absl/time/time.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "libs/crypto/secp256k1.hpp"
#include "libs/eth/types.hpp"

namespace towline::gossip {

struct ValidBlock {
  std::shared_ptr<const eth::Payload> payload;
  Address signer;
  secp256k1::RecoverableSignature signature;
  absl::Time received;
  std::string peer;  // base58; empty: published here
};
using ValidBlockPtr = std::shared_ptr<const ValidBlock>;

class BlockBoard {
 public:
  BlockBoard(std::size_t max_blocks, std::size_t max_bytes) : max_blocks_{max_blocks}, max_bytes_{max_bytes} {}

  void put(ValidBlockPtr block) {
    {
      std::lock_guard lock{mutex_};
      if (by_hash_.contains(block->payload->block_hash)) return;
      by_hash_[block->payload->block_hash] = block;
      bytes_ += size_of(*block);
      log_.push_back(std::move(block));
      while (log_.size() > max_blocks_ || (bytes_ > max_bytes_ && log_.size() > 1)) {
        bytes_ -= size_of(*log_.front());
        by_hash_.erase(log_.front()->payload->block_hash);
        log_.pop_front();
        ++first_;
      }
    }
    changed_.notify_all();
  }
  ValidBlockPtr find(const Hash32& hash) const {
    std::lock_guard lock{mutex_};
    const auto it = by_hash_.find(hash);
    return it == by_hash_.end() ? nullptr : it->second;
  }
  /// The blocks behind `parent` up to `tip`, oldest first; empty: not all of them are here.
  std::vector<ValidBlockPtr> chain(const eth::BlockId& parent, const eth::BlockId& tip) const {
    std::vector<ValidBlockPtr> out;
    std::lock_guard lock{mutex_};
    for (Hash32 at = tip.hash; at != parent.hash;) {
      const auto it = by_hash_.find(at);
      if (it == by_hash_.end() || it->second->payload->number <= parent.number) return {};
      out.push_back(it->second);
      at = it->second->payload->parent_hash;
    }
    return {out.rbegin(), out.rend()};
  }
  ValidBlockPtr last() const {
    std::lock_guard lock{mutex_};
    return log_.empty() ? nullptr : log_.back();
  }
  /// What came behind `next` (updated), waiting for news at most `limit`.
  std::vector<ValidBlockPtr> wait(std::uint64_t& next, std::chrono::milliseconds limit) {
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, limit, [&] { return first_ + log_.size() > next || stopped_; });
    std::vector<ValidBlockPtr> out;
    for (next = std::max(next, first_); next < first_ + log_.size(); ++next) out.push_back(log_[next - first_]);
    return out;
  }
  void stop() {
    {
      std::lock_guard lock{mutex_};
      stopped_ = true;
    }
    changed_.notify_all();
  }
  bool stopped() const {
    std::lock_guard lock{mutex_};
    return stopped_;
  }

 private:
  static std::size_t size_of(const ValidBlock& b) {
    std::size_t n = 1024;
    for (const auto& t : b.payload->transactions) n += t.size() + sizeof(Bytes);
    return n;
  }
  const std::size_t max_blocks_, max_bytes_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<ValidBlockPtr> log_;  // oldest first
  std::uint64_t first_ = 0;        // number of the oldest in the log
  absl::flat_hash_map<Hash32, ValidBlockPtr> by_hash_;
  std::size_t bytes_ = 0;
  bool stopped_ = false;
};

}  // namespace towline::gossip
