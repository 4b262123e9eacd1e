// The id of a gossiped block's message, and its text. Pure.
#pragma once
#include "libs/gossip_block/envelope.hpp"
#include "libs/p2p/gossipsub.hpp"

namespace towline::gossip {

/// For Network: how the OP Stack names messages.
inline p2p::Gossipsub::Identified identify_block(const std::string& topic, BytesView data) {
  auto text = gossip_block::decompress(data);
  const p2p::SharedBytes shared = text.ok() ? std::make_shared<const Bytes>(*std::move(text)) : nullptr;
  return {gossip_block::message_id(topic, data, shared.get()), shared};
}

}  // namespace towline::gossip
