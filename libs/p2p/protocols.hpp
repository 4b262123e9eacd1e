// The ids of the protocols that are spoken on streams. Pure.
#pragma once
#include <string>
#include <vector>

#include "libs/p2p/gossipsub.hpp"

namespace towline::p2p {

inline const std::string kIdentify = "/ipfs/id/1.0.0";
inline const std::string kIdentifyPush = "/ipfs/id/push/1.0.0";
inline const std::string kPing = "/ipfs/ping/1.0.0";

struct GossipProtocol {
  const char* id;
  Gossipsub::Version version;
};
/// Best first.
inline constexpr GossipProtocol kGossip[] = {{"/meshsub/1.2.0", Gossipsub::Version::v1_2},
                                             {"/meshsub/1.1.0", Gossipsub::Version::v1_1},
                                             {"/meshsub/1.0.0", Gossipsub::Version::v1_0},
                                             {"/floodsub/1.0.0", Gossipsub::Version::floodsub}};

/// The protocols that we propose for a gossip stream.
inline std::vector<std::string> gossip_protocols() {
  std::vector<std::string> out;
  for (const auto& g : kGossip) out.emplace_back(g.id);
  return out;
}

/// The protocols that a peer may open streams to us for. Floodsub is not among them: a peer that speaks nothing else is
/// still served on our own stream to it.
inline std::vector<std::string> served_protocols() {
  std::vector<std::string> out{kIdentify, kIdentifyPush, kPing};
  for (const auto& g : kGossip)
    if (g.version != Gossipsub::Version::floodsub) out.emplace_back(g.id);
  return out;
}

}  // namespace towline::p2p
