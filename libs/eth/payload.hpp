// Conversions between headers, payloads and hashes, and the one place where a block is verified. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <span>

#include "libs/eth/types.hpp"

namespace towline::eth {

/// The header of payload `p`; the transactions root is computed.
Header header_of(const Payload& p);
/// keccak of that header, which `p.block_hash` must equal.
Hash32 hash_of(const Payload& p);
/// `hash` is not checked: verify first.
Payload make_payload(const Header& h, const Hash32& hash, std::vector<Bytes> transactions);

/// Checks a header alone: its hash, and the rules that hold for every OP Stack block since Bedrock. DATA_LOSS: the
/// message starts with the JSON name of the field that does not verify. rollup::verify_block() adds the fork's rules.
absl::Status verify_header(const Header& h, const Hash32& expected_hash);
/// Checks a body against a verified header: transactions root, withdrawals rule. Errors as above.
absl::Status verify_body(const Header& h, std::span<const Bytes> transactions);

}  // namespace towline::eth
