// What follows for peers from what is known of them: why one is banned for its score, what is banned with it, whom a
// ban lets go. Whom to dial and to let in is connection_manager's. Pure.
#pragma once
#include <absl/status/status.h>

#include <string>
#include <vector>

#include "libs/p2p/node.hpp"

namespace towline::gossip {

/// A peer that is connected.
struct SwarmPeer {
  p2p::PeerId id;
  p2p::Ip ip;
  bool is_static = false;
};

/// What weighs most in a bad score.
struct ScoreFault {
  /// For metrics: messages, behaviour, address.
  const char* reason;
  /// For people.
  std::string why;
};
ScoreFault fault_of(double score, const p2p::Gossipsub::PeerView& view);

/// What is banned with the peer, canonical. The address goes with it, since a new key costs nothing; but not one of a
/// local network, which may be a proxy that all come through, nor one that a static peer has, too.
std::vector<std::string> ban_targets(const p2p::PeerId& peer, const std::vector<SwarmPeer>& connected);

/// Who has to go when `canonical` is banned: static peers stay.
std::vector<p2p::PeerId> let_go(const std::string& canonical, const std::vector<SwarmPeer>& connected);

/// Why a connection ended, as a label.
const char* label_of(const absl::Status& why);

}  // namespace towline::gossip
