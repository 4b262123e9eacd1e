// Recursive Length Prefix (Ethereum yellow paper, appendix B). The reader accepts canonical forms only; encoders
// append. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <cstdint>

#include "libs/base/bytes.hpp"

namespace towline::rlp {

enum class Kind { string, list };

/// One item: its payload, and the whole encoding with its header.
struct Item {
  Kind kind = Kind::string;
  BytesView payload;
  BytesView encoding;
};

/// Walks over the items of a payload, in order. Views point into the input.
class Reader {
 public:
  explicit Reader(BytesView in) : in_{in} {}
  bool empty() const { return in_.empty(); }

  /// The next item. INVALID_ARGUMENT: truncated, or not the canonical form.
  absl::StatusOr<Item> next();
  absl::StatusOr<BytesView> string();
  /// A string of exactly N bytes.
  template <std::size_t N>
  absl::StatusOr<FixedBytes<N>> fixed() {
    auto s = string();
    if (!s.ok()) return s.status();
    auto f = FixedBytes<N>::from(*s);
    if (!f) return absl::InvalidArgumentError("rlp: string has the wrong length");
    return *f;
  }
  /// A minimal big-endian integer.
  absl::StatusOr<std::uint64_t> u64();
  absl::StatusOr<Uint256> u256();
  /// The items of a list.
  absl::StatusOr<Reader> list();
  /// OK if no item is left.
  absl::Status finish() const;

 private:
  BytesView in_;
};

void append_string(BytesView s, Bytes& out);
/// Appends what stands before the bytes of a string; nothing, if the string is its own encoding.
void append_string_header(BytesView s, Bytes& out);
void append_u64(std::uint64_t n, Bytes& out);
void append_u256(const Uint256& n, Bytes& out);
/// Appends the header of a list whose payload has `size` bytes.
void append_list_header(std::size_t size, Bytes& out);
/// Appends `payload` as a list.
void append_list(BytesView payload, Bytes& out);

}  // namespace towline::rlp
