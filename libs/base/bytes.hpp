// Byte strings of fixed and of any length, and a bounded reader. Pure.
#pragma once
#include <absl/strings/string_view.h>

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace towline {

using Bytes = std::vector<std::uint8_t>;
using BytesView = std::span<const std::uint8_t>;

/// N raw bytes; a value, ordered and hashable.
template <std::size_t N>
struct FixedBytes {
  static constexpr std::size_t kSize = N;
  std::array<std::uint8_t, N> bytes{};

  constexpr auto operator<=>(const FixedBytes&) const = default;
  constexpr bool is_zero() const {
    for (auto b : bytes) {
      if (b != 0) return false;
    }
    return true;
  }
  BytesView view() const { return {bytes.data(), N}; }
  const std::uint8_t* data() const { return bytes.data(); }
  std::uint8_t* data() { return bytes.data(); }

  /// nullopt unless `v` has exactly N bytes.
  static std::optional<FixedBytes> from(BytesView v) {
    if (v.size() != N) return std::nullopt;
    FixedBytes out;
    std::memcpy(out.bytes.data(), v.data(), N);
    return out;
  }
  template <typename H>
  friend H AbslHashValue(H h, const FixedBytes& f) {  // NOLINT(readability-identifier-naming): Abseil looks for it
    return H::combine(std::move(h), f.bytes);
  }
};

using Hash32 = FixedBytes<32>;
using Address = FixedBytes<20>;
using Bloom = FixedBytes<256>;
/// 32 bytes, big endian.
using Uint256 = FixedBytes<32>;

/// Between byte views and the `bytes` fields of protobuf messages (std::string).
inline BytesView as_bytes(absl::string_view s) { return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()}; }
inline std::string to_string(BytesView v) { return {reinterpret_cast<const char*>(v.data()), v.size()}; }

/// Reads forward over a view and never past its end.
class ByteReader {
 public:
  explicit ByteReader(BytesView in) : in_{in} {}
  std::size_t remaining() const { return in_.size(); }
  bool empty() const { return in_.empty(); }
  std::optional<std::uint8_t> u8() {
    auto v = take(1);
    return v ? std::optional{(*v)[0]} : std::nullopt;
  }
  std::optional<std::uint64_t> be(std::size_t n) {
    if (n > 8) return std::nullopt;
    auto v = take(n);
    if (!v) return std::nullopt;
    std::uint64_t out = 0;
    for (auto b : *v) out = out << 8U | b;
    return out;
  }
  std::optional<BytesView> take(std::size_t n) {
    if (n > in_.size()) return std::nullopt;
    BytesView v = in_.first(n);
    in_ = in_.subspan(n);
    return v;
  }

 private:
  BytesView in_;
};

}  // namespace towline

template <std::size_t N>
struct std::hash<towline::FixedBytes<N>> {
  std::size_t operator()(const towline::FixedBytes<N>& f) const noexcept {
    // Keys are hashes, so any eight bytes will do.
    std::size_t h = 0;
    std::memcpy(&h, f.bytes.data() + (N > 8 ? N - 8 : 0), N < 8 ? N : 8);
    return h;
  }
};
