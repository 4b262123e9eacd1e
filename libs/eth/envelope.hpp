// What a transaction of a block may look like (EIP-2718). Clients differ in what they make of bytes that are none: a
// deposit without its type byte once split a network. Pure.
#pragma once
#include <absl/status/status.h>

#include "libs/base/bytes.hpp"

namespace towline::eth {

/// OK: a legacy transaction (one list of exactly nine), or a type 0x01 .. 0x7f with a body. Types 0x01 .. 0x04 and 0x7e
/// are read to the end; the body of any other is only looked at for being there, so that a new type needs no new
/// version of this. What a transaction says (signature, fees, chain) is not judged. INVALID_ARGUMENT: what is wrong.
absl::Status check_envelope(BytesView raw);
/// All of a block; the message names the first that is wrong.
absl::Status check_envelopes(std::span<const Bytes> transactions);

}  // namespace towline::eth
