// The messages that peers may still ask for with IWANT, and the ids that IHAVE announces (gossipsub v1.0, "message
// cache"). Time is counted in heartbeats: a message is announced for 3 and served for 12. The bytes of all frames are
// bounded: the oldest message goes first, and the newest always stays. Pure.
#pragma once
#include <absl/container/flat_hash_map.h>

#include <deque>
#include <vector>

#include "libs/p2p/gossip_rpc.hpp"
#include "libs/p2p/yamux.hpp"

namespace towline::p2p {

class MessageCache {
 public:
  static constexpr std::uint64_t kGossipHeartbeats = 3, kHistoryHeartbeats = 12;

  explicit MessageCache(std::size_t max_bytes) : max_bytes_{max_bytes} {}

  /// `frame` is the encoded RPC, whose bytes all receivers share.
  void put(const MessageId& id, std::size_t topic, SharedBytes frame);
  /// Null: not in the cache.
  SharedBytes get(const MessageId& id) const;
  bool contains(const MessageId& id) const { return index_.contains(id); }
  /// The ids to announce, oldest first. The views are valid until put() or shift().
  std::vector<BytesView> gossip_ids(std::size_t topic, std::size_t max) const;
  /// Called at the begin of a heartbeat.
  void shift();
  std::size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    MessageId id;
    std::size_t topic;
    SharedBytes frame;
    std::uint64_t heartbeat;
  };
  void pop_oldest();

  const std::size_t max_bytes_;
  std::deque<Entry> oldest_first_;
  absl::flat_hash_map<MessageId, const Entry*> index_;
  std::size_t bytes_ = 0;
  std::uint64_t heartbeat_ = 0;
};

}  // namespace towline::p2p
