// The codec for the OP Stack's block topics: message ids and decompression. Pure.
#pragma once
#include "libs/gossip_block/envelope.hpp"
#include "libs/p2p/gossipsub.hpp"

namespace towline::gossip {

inline p2p::Gossipsub::Codec block_codec() {
  return {[](const std::string& topic, BytesView data) {
            auto text = gossip_block::decompress(data);
            const p2p::SharedBytes shared = text.ok() ? std::make_shared<const Bytes>(*std::move(text)) : nullptr;
            return p2p::Gossipsub::Identified{gossip_block::message_id(topic, data, shared.get()), shared};
          },
          gossip_block::decompressed_size};
}

}  // namespace towline::gossip
