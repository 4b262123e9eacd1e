// The ids of seen messages: a copy is neither validated nor forwarded again, and a copy of a rejected message counts
// like the first. Entries live for 65 s (op-node's value); at most 65,536, the oldest goes first. Pure.
#pragma once
#include <absl/container/flat_hash_map.h>
#include <absl/time/time.h>

#include <deque>

#include "libs/p2p/gossip_rpc.hpp"

namespace towline::p2p {

class SeenCache {
 public:
  static constexpr absl::Duration kLifetime = absl::Seconds(65);
  static constexpr std::size_t kMaxEntries = 1U << 16U;

  /// `id` must not be in the cache.
  void add(const MessageId& id, absl::Time now);
  bool contains(const MessageId& id) const { return rejected_.contains(id); }
  void mark_rejected(const MessageId& id);
  bool is_rejected(const MessageId& id) const;
  void expire(absl::Time now);

 private:
  void pop_oldest();

  absl::flat_hash_map<MessageId, bool> rejected_;
  std::deque<std::pair<absl::Time, MessageId>> oldest_first_;
};

}  // namespace towline::p2p
