// The other end: a node that can be asked, and the pair of node and address that a session belongs to. Pure.
#pragma once
#include "libs/discv5/packet.hpp"

namespace towline::discv5 {

using p2p::SocketAddress;

/// A node that can be asked, whether its record is known or not.
struct Contact {
  NodeId id;
  secp256k1::PublicKey key;
  SocketAddress address;
};

/// A handshake proves a node id for one address only.
struct SessionId {
  NodeId node;
  SocketAddress address;
  bool operator==(const SessionId&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const SessionId& s) {  // NOLINT(readability-identifier-naming): Abseil looks for it
    return H::combine(std::move(h), s.node, s.address);
  }
};

}  // namespace towline::discv5
