// Who is banned, until when and why: peer ids and IP addresses. Pure.
#pragma once
#include <absl/container/flat_hash_map.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>
#include <vector>

#include "libs/p2p/multiaddr.hpp"

namespace towline::gossip {

struct Ban {
  std::string target;  // a base58 peer id or an IP address
  absl::Time until;
  std::string reason;
};

class Bans {
 public:
  /// The canonical text of a target. INVALID_ARGUMENT: neither a peer id nor an IP address.
  static absl::StatusOr<std::string> canonical(absl::string_view target);

  /// A ban that lasts longer is kept. `target` must be canonical.
  void ban(const std::string& target, absl::Time until, const std::string& reason);
  /// Returns false if there was no such ban.
  bool unban(const std::string& target);
  /// PERMISSION_DENIED with the reason if banned.
  absl::Status check(const p2p::PeerId& peer, const p2p::Ip& ip, absl::Time now) const;
  absl::Status check(const p2p::Ip& ip, absl::Time now) const;
  /// The bans in force, the longest first.
  std::vector<Ban> list(absl::Time now) const;

  /// The same bans with every end moved by `d`: the file uses wall-clock time, a running process uses the steady clock.
  Bans shifted(absl::Duration d) const;

  /// One JSON document. from_json(): INVALID_ARGUMENT names the fault in the file.
  std::string to_json(absl::Time now) const;
  static absl::StatusOr<Bans> from_json(absl::string_view json);

 private:
  absl::Status check(const std::string& target, absl::Time now) const;
  absl::flat_hash_map<std::string, Ban> bans_;
};

}  // namespace towline::gossip
