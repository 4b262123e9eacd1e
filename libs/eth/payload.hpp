// Between headers, payloads and hashes, and the one place where a block is verified. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <span>

#include "libs/eth/types.hpp"

namespace towline::eth {

/// The header that `p` stands for; the transactions root is computed.
Header header_of(const Payload& p);
/// keccak of that header: what `p.block_hash` must be.
Hash32 hash_of(const Payload& p);
/// `hash` is taken as given (verify first).
Payload make_payload(const Header& h, const Hash32& hash, std::vector<Bytes> transactions);

/// Everything that can be checked of a header alone: its hash, and the rules that hold for every OP Stack block since
/// Bedrock. DATA_LOSS: the message starts with the JSON name of the field that does not verify. rollup::verify_block()
/// adds the fork's rules.
absl::Status verify_header(const Header& h, const Hash32& expected_hash);
/// The body against a verified header: transactions root, withdrawals rule.
absl::Status verify_body(const Header& h, std::span<const Bytes> transactions);

}  // namespace towline::eth
