// The form of a transaction in a block (EIP-2718). Clients differ in how they read malformed ones: a deposit without
// its type byte once split a network. Pure.
#pragma once
#include <absl/status/status.h>

#include "libs/base/bytes.hpp"

namespace towline::eth {

/// OK: a legacy transaction (one list of exactly nine), or a type 0x01 .. 0x7f with a body. Types 0x01 .. 0x04 and 0x7e
/// are read to the end. Of any other type only the presence of a body is checked, so that a new type needs no new
/// version of this check. The contents (signature, fees, chain) are not judged. INVALID_ARGUMENT says what is wrong.
absl::Status check_envelope(BytesView raw);
/// Checks all transactions of a block; the message names the first malformed one.
absl::Status check_envelopes(std::span<const Bytes> transactions);

}  // namespace towline::eth
