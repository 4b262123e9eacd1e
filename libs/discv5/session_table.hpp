// The keys shared with other nodes (discv5-wire, "sessions"): one session for each node and address, at most 1000. The
// least recently used session makes room. Pure.
#pragma once
#include <absl/container/flat_hash_map.h>

#include <list>
#include <optional>

#include "libs/discv5/contact.hpp"
#include "libs/discv5/random.hpp"

namespace towline::discv5 {

struct Session {
  SessionId id;
  SessionKey read, write;
  /// The read key of the session before. When both nodes shake hands at once, each ends with the keys of the other's
  /// handshake.
  std::optional<SessionKey> old_read{};
  std::uint32_t sent = 0;

  /// A counter and random bytes: a nonce is used once per key and is unpredictable.
  Nonce next_nonce(const Random& random);
};

class SessionTable {
 public:
  static constexpr std::size_t kMaxSessions = 1000;

  /// Null: no session. A session that is found counts as used. Pointers are valid until put().
  Session* find(const SessionId& id);
  Session& put(const SessionId& id, const SessionKey& read, const SessionKey& write);
  std::size_t size() const { return last_used_first_.size(); }

 private:
  std::list<Session> last_used_first_;
  absl::flat_hash_map<SessionId, std::list<Session>::iterator> index_;
};

}  // namespace towline::discv5
