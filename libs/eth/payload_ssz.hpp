// Execution payloads in SSZ, the encoding of the block topics (OP specs, rollup-node-p2p). Pure.
#pragma once
#include <absl/status/statusor.h>

#include "libs/eth/types.hpp"

namespace towline::eth {

/// The four layouts: Bedrock, Canyon, Ecotone, Isthmus.
enum class PayloadVersion : std::uint8_t { v1 = 1, v2 = 2, v3 = 3, v4 = 4 };

struct SszPayload {
  Payload payload;
  /// The number of withdrawals in it. The rules forbid any, the encoding does not.
  std::size_t withdrawals = 0;
};

/// INVALID_ARGUMENT names the field that is wrong. `parent_beacon_block_root` is not part of the encoding.
absl::StatusOr<SszPayload> decode_ssz(PayloadVersion version, BytesView in);
/// Appends the encoding: the exact inverse for payloads of this version.
void encode_ssz(PayloadVersion version, const Payload& p, Bytes& out);

}  // namespace towline::eth
