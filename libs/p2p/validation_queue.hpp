// The messages that wait for validation, and whether another one fits. Number and bytes are bounded in total. A peer
// may have at most a quarter of the number waiting, and the last quarter of number and bytes is kept for peers of which
// nothing waits: one peer's flood does not keep out the messages of others. A message without a result is dropped after
// 10 s. Pure.
#pragma once
#include <absl/container/flat_hash_map.h>
#include <absl/time/time.h>

#include <optional>
#include <vector>

#include "libs/p2p/gossip_rpc.hpp"
#include "libs/p2p/peer_id.hpp"
#include "libs/p2p/yamux.hpp"

namespace towline::p2p {

class ValidationQueue {
 public:
  static constexpr absl::Duration kLifetime = absl::Seconds(10);
  static constexpr std::size_t kShares = 4, kMaxSenders = 64;

  struct Entry {
    std::size_t topic;
    SharedBytes data;
    /// Bytes of the received and the decoded message.
    std::size_t bytes;
    /// The peers that brought it; the first is charged for the place.
    std::vector<PeerId> senders;
    absl::Time until;
  };

  ValidationQueue(std::size_t max_messages, std::size_t max_bytes)
      : max_messages_{max_messages}, max_bytes_{max_bytes} {}

  bool has_room(const PeerId& from, std::size_t bytes) const;
  void add(const MessageId& id, std::size_t topic, SharedBytes data, std::size_t bytes, const PeerId& from,
           absl::Time now);
  /// Another peer brought the message, too. No effect if the message does not wait.
  void add_sender(const MessageId& id, const PeerId& from);
  /// Takes a message out. nullopt: it does not wait (any more).
  std::optional<Entry> take(const MessageId& id);
  /// Drops expired messages; returns how many.
  std::size_t expire(absl::Time now);

 private:
  using Entries = absl::flat_hash_map<MessageId, Entry>;
  Entry take(Entries::iterator it);

  const std::size_t max_messages_, max_bytes_;
  Entries entries_;
  absl::flat_hash_map<PeerId, std::size_t> waiting_of_;  // never 0
  std::size_t bytes_ = 0;
};

}  // namespace towline::p2p
