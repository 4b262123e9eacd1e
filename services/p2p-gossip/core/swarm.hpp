// Consequences for peers: why a peer is banned for its score, what is banned with it, and whom a ban disconnects. Whom
// to dial and admit is connection_manager's decision. Pure.
#pragma once
#include <absl/status/status.h>

#include <string>
#include <vector>

#include "libs/p2p/node.hpp"

namespace towline::gossip {

/// A connected peer.
struct SwarmPeer {
  p2p::PeerId id;
  p2p::Ip ip;
  bool is_static = false;
};

/// The main cause of a bad score.
struct ScoreFault {
  /// A metric label: messages, behaviour or address.
  const char* reason;
  /// For display.
  std::string why;
};
ScoreFault fault_of(double score, const p2p::Gossipsub::PeerView& view);

/// The canonical targets to ban with the peer. The address is included, since a new key costs nothing; except an
/// address of a local network, which may be a proxy for all peers, or one that a static peer shares.
std::vector<std::string> ban_targets(const p2p::PeerId& peer, const std::vector<SwarmPeer>& connected);

/// The peers to disconnect when `canonical` is banned. Static peers stay.
std::vector<p2p::PeerId> let_go(const std::string& canonical, const std::vector<SwarmPeer>& connected);

/// Why a connection ended, as a metric label.
const char* label_of(const absl::Status& why);

}  // namespace towline::gossip
