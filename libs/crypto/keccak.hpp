// Keccak-256 as Ethereum uses it (the original padding, not SHA3-256). Pure.
#pragma once
#include <initializer_list>

#include "libs/base/bytes.hpp"

namespace towline {

Hash32 keccak256(BytesView data);
/// The hash of all parts, one after the other.
Hash32 keccak256(std::initializer_list<BytesView> parts);

}  // namespace towline
