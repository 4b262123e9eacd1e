// The handshake (discv5-wire, "handshake"): which WHOAREYOU challenges are sent and wait for an answer, and whether a
// handshake proves the identity of its sender. A challenge costs a hash, a handshake three curve operations, so both
// are limited per second, by address and in total. The limits also bound the challenges that wait. Pure.
#pragma once
#include <absl/container/flat_hash_map.h>

#include <variant>

#include "libs/discv5/contact.hpp"
#include "libs/discv5/random.hpp"
#include "libs/discv5/rate_limit.hpp"

namespace towline::discv5 {

class Handshakes {
 public:
  /// Per second: from one address, and in total.
  static constexpr std::uint32_t kChallenges[] = {20, 500}, kHandshakes[] = {20, 200};

  enum class Refusal { unexpected, limited, bad_proof };
  struct Accepted {
    Enr record;
    SessionKeys keys;
    Message message;
  };
  struct Answer {
    SessionKeys keys;
    Handshake handshake;
  };

  /// `timeout`: how long a challenge waits for its answer. `key` must outlive this.
  Handshakes(const secp256k1::SecretKey& key, const NodeId& local, absl::Duration timeout, const Random& random);

  /// The WHOAREYOU to send when a packet of `who` could not be read; null: too many were sent. The challenge stays the
  /// same while it waits, because a second one would invalidate the handshake that answers the first.
  const Bytes* challenge(const SessionId& who, const Nonce& nonce, const Enr* known, const Random& random,
                         absl::Time now);
  /// A challenge stays after a wrong proof, because anybody can send one in the name of another node.
  std::variant<Accepted, Refusal> accept(const SessionId& from, const Packet& p, const Handshake& h, absl::Time now);
  /// Our answer to the WHOAREYOU of `to`. nullopt: no shared secret can be made with its key.
  std::optional<Answer> answer(const Contact& to, const Packet& p, const WhoAreYou& w, const Enr& local,
                               const Random& random) const;
  void expire(absl::Time now);

 private:
  struct Pending {
    Bytes packet, data;
    std::optional<Enr> known;
    absl::Time deadline;
  };
  const secp256k1::SecretKey& key_;
  const NodeId local_;
  const absl::Duration timeout_;
  RateLimit challenge_limit_, handshake_limit_;
  absl::flat_hash_map<SessionId, Pending> pending_;
};

}  // namespace towline::discv5
