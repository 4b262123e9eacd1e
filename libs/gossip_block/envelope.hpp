// How a block travels on the p2p network (OP specs, rollup-node-p2p): topics, the signed and compressed envelope, and
// the id of a message. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "libs/crypto/secp256k1.hpp"
#include "libs/eth/payload_ssz.hpp"
#include "libs/rollup/config.hpp"

namespace towline::gossip_block {

using eth::PayloadVersion;

/// Bytes of a message, compressed or not.
inline constexpr std::size_t kMaxMessage = 10U << 20U;

/// "/optimism/10/3/blocks" for v4.
std::string topic_name(std::uint64_t chain_id, PayloadVersion v);
/// All four, v1 first.
std::vector<std::string> topic_names(std::uint64_t chain_id);
/// The version of the topic for blocks of this time.
PayloadVersion version_at(const rollup::Config& config, std::uint64_t timestamp);

/// Snappy's block format. RESOURCE_EXHAUSTED: the declared length is above kMaxMessage; this is checked before memory
/// is allocated. INVALID_ARGUMENT: not snappy.
absl::StatusOr<Bytes> decompress(BytesView message);
/// The bytes that decompress() would allocate, read from the first bytes only.
std::size_t decompressed_size(BytesView message);
Bytes compress(BytesView body);

/// The hash that the sequencer signs. `signed_part` is everything after the signature.
Hash32 signing_hash(std::uint64_t chain_id, BytesView signed_part);
/// beacon root (v3, v4) ‖ SSZ payload.
Bytes signed_part(PayloadVersion v, const eth::Payload& p);
/// A whole message: signed, encoded and compressed.
Bytes encode_message(std::uint64_t chain_id, PayloadVersion v, const eth::Payload& p, const secp256k1::SecretKey& key);

/// SHA-256 of op-node's domain, the topic and the message, cut to 20 bytes. `body`: the decompressed message; null if
/// it does not decompress.
FixedBytes<20> message_id(const std::string& topic, BytesView message, const Bytes* body);

}  // namespace towline::gossip_block
