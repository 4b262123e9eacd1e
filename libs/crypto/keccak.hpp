// Keccak-256 as Ethereum uses it (the original padding, not SHA3-256). Pure.
#pragma once
#include "libs/base/bytes.hpp"

namespace towline {

Hash32 keccak256(BytesView data);

}  // namespace towline
