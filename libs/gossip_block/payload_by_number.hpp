// payload_by_number, the legacy request for one unsafe block (OP specs, rollup-node-p2p): what stands on its streams.
// op-node is followed where it differs from the spec: version 1 for all payloads with a beacon root. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <optional>
#include <string>
#include <vector>

#include "libs/gossip_block/envelope.hpp"

namespace towline::gossip_block {

/// The protocol of a chain, in both spellings: the spec has a slash at the end, op-node has none.
std::vector<std::string> payload_by_number_protocols(std::uint64_t chain_id);

inline constexpr std::size_t kPayloadRequest = 8;
/// A block number, little-endian.
Bytes encode_payload_request(std::uint64_t number);
/// nullopt: not of 8 bytes.
std::optional<std::uint64_t> decode_payload_request(BytesView in);

Bytes encode_payload_answer(const eth::Payload& p);
Bytes payload_not_found();
/// NOT_FOUND: the peer has not got it. UNAVAILABLE: it cannot answer. INVALID_ARGUMENT, RESOURCE_EXHAUSTED: not an
/// answer. What it says is not checked: the hash is, by who asked. `config` tells the payload's version by its time.
absl::StatusOr<eth::Payload> decode_payload_answer(const rollup::Config& config, BytesView in);

/// Snappy's framing format (framing_format.txt of google/snappy).
Bytes frame(BytesView text);
/// INVALID_ARGUMENT: not such a stream, or a checksum is wrong. RESOURCE_EXHAUSTED: more than kMaxMessage.
absl::StatusOr<Bytes> unframe(BytesView stream);

}  // namespace towline::gossip_block
