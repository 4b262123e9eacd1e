// Hexadecimal as Ethereum JSON-RPC writes it: DATA ("0x" and an even number of digits) and QUANTITY ("0x" and no
// leading zero). Reading is liberal in case and, for quantities, in padding; writing is strict.
#pragma once
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>

#include "libs/base/bytes.hpp"

namespace towline {

/// "0x" and two lower-case digits a byte.
std::string to_hex(BytesView v);
/// Appends the digits alone; the hot path of Engine API bodies.
void append_hex_digits(BytesView v, std::string& out);
/// "0x1f"; zero is "0x0".
std::string to_quantity(std::uint64_t n);
/// A 256-bit big-endian number as QUANTITY.
std::string to_quantity(const Uint256& n);
/// The first 4 and last 4 digits of a hash, for people: "0x1234..cdef".
std::string short_hex(BytesView v);

/// DATA of any length; the prefix is required.
absl::StatusOr<Bytes> parse_hex(absl::string_view s);
/// As parse_hex(), but appends; nothing is appended on error.
absl::Status parse_hex_into(absl::string_view s, Bytes& out);
/// DATA of exactly out.size() bytes.
absl::Status parse_hex_exact(absl::string_view s, std::span<std::uint8_t> out);
template <std::size_t N>
absl::StatusOr<FixedBytes<N>> parse_fixed_hex(absl::string_view s) {
  FixedBytes<N> out;
  if (absl::Status st = parse_hex_exact(s, out.bytes); !st.ok()) return st;
  return out;
}
/// QUANTITY up to 64 bits; leading zeros are accepted.
absl::StatusOr<std::uint64_t> parse_quantity(absl::string_view s);
/// QUANTITY up to 256 bits.
absl::StatusOr<Uint256> parse_quantity256(absl::string_view s);

}  // namespace towline
