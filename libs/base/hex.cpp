#include "libs/base/hex.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>

namespace towline {
namespace {

constexpr char kDigits[] = "0123456789abcdef";

constexpr std::array<std::int8_t, 256> make_values() {
  std::array<std::int8_t, 256> t{};
  for (auto& v : t) v = -1;
  for (std::uint8_t i = 0; i < 10; ++i) t[std::size_t{'0'} + i] = static_cast<std::int8_t>(i);
  for (std::uint8_t i = 0; i < 6; ++i) {
    t[std::size_t{'a'} + i] = static_cast<std::int8_t>(10 + i);
    t[std::size_t{'A'} + i] = static_cast<std::int8_t>(10 + i);
  }
  return t;
}
constexpr auto kValues = make_values();

int value_of(char c) { return kValues[static_cast<std::uint8_t>(c)]; }

absl::Status strip_prefix(absl::string_view& s) {
  if (s.size() < 2 || s[0] != '0' || (s[1] != 'x' && s[1] != 'X'))
    return absl::InvalidArgumentError("hex without 0x prefix");
  s.remove_prefix(2);
  return absl::OkStatus();
}

// Blocks of a fixed size are what compilers turn into vector instructions.
constexpr std::size_t kBlock = 32;

void encode_block(const std::uint8_t* in, char* out) {
  std::array<std::uint8_t, kBlock> high, low;
  const auto digit = [](int nibble) { return static_cast<std::uint8_t>(nibble + (nibble > 9 ? 'a' - 10 : '0')); };
  for (std::size_t i = 0; i < kBlock; ++i) {
    high[i] = digit(in[i] >> 4);
    low[i] = digit(in[i] & 0xf);
  }
  for (std::size_t i = 0; i < kBlock; ++i) {
    out[2 * i] = static_cast<char>(high[i]);
    out[2 * i + 1] = static_cast<char>(low[i]);
  }
}

/// Decodes two digits for each byte of a block. Returns 0 if all of them were digits.
std::uint8_t decode_block(const char* in, std::uint8_t* out) {
  std::array<std::uint8_t, 2 * kBlock> nibbles;
  std::uint8_t bad = 0;
  for (std::size_t i = 0; i < nibbles.size(); ++i) {
    const auto c = static_cast<std::uint8_t>(in[i]);
    const auto number = static_cast<std::uint8_t>(c - '0'), letter = static_cast<std::uint8_t>((c | 0x20) - 'a');
    const bool is_number = number < 10, is_letter = letter < 6;
    nibbles[i] = static_cast<std::uint8_t>(is_number ? number : letter + 10);
    bad |= static_cast<std::uint8_t>(!(is_number | is_letter));
  }
  for (std::size_t i = 0; i < kBlock; ++i) out[i] = static_cast<std::uint8_t>(nibbles[2 * i] << 4 | nibbles[2 * i + 1]);
  return bad;
}

absl::Status decode_digits(absl::string_view s, std::uint8_t* out) {
  std::uint8_t bad = 0;
  for (; s.size() >= 2 * kBlock; s.remove_prefix(2 * kBlock), out += kBlock) bad |= decode_block(s.data(), out);
  int sign = 0;
  for (std::size_t i = 0; i < s.size(); i += 2) {
    const int hi = value_of(s[i]);
    const int lo = value_of(s[i + 1]);
    sign |= hi | lo;
    *out++ = static_cast<std::uint8_t>(static_cast<unsigned>(hi) << 4U | static_cast<unsigned>(lo));
  }
  return bad != 0 || sign < 0 ? absl::InvalidArgumentError("not a hex digit") : absl::OkStatus();
}

}  // namespace

void append_hex_digits(BytesView v, std::string& out) {
  const std::size_t at = out.size();
  out.resize(at + v.size() * 2);
  char* p = out.data() + at;
  for (; v.size() >= kBlock; v = v.subspan(kBlock), p += 2 * kBlock) encode_block(v.data(), p);
  for (std::uint8_t b : v) {
    *p++ = kDigits[b >> 4U];
    *p++ = kDigits[b & 0xfU];
  }
}

std::string to_hex(BytesView v) {
  std::string out = "0x";
  append_hex_digits(v, out);
  return out;
}

std::string to_quantity(std::uint64_t n) { return absl::StrCat("0x", absl::Hex(n)); }

std::string to_quantity(const Uint256& n) {
  std::string digits;
  append_hex_digits(n.view(), digits);
  const auto first = digits.find_first_not_of('0');
  return first == std::string::npos ? "0x0" : absl::StrCat("0x", digits.substr(first));
}

std::string short_hex(BytesView v) {
  if (v.size() <= 4) return to_hex(v);
  std::string out = "0x";
  append_hex_digits(v.first(2), out);
  out += "..";
  append_hex_digits(v.last(2), out);
  return out;
}

absl::Status parse_hex_into(absl::string_view s, Bytes& out) {
  if (auto st = strip_prefix(s); !st.ok()) return st;
  if (s.size() % 2 != 0) return absl::InvalidArgumentError("hex with an odd number of digits");
  const std::size_t at = out.size();
  out.resize(at + s.size() / 2);
  auto st = decode_digits(s, out.data() + at);
  if (!st.ok()) out.resize(at);
  return st;
}

absl::StatusOr<Bytes> parse_hex(absl::string_view s) {
  Bytes out;
  if (auto st = parse_hex_into(s, out); !st.ok()) return st;
  return out;
}

absl::Status parse_hex_exact(absl::string_view s, std::span<std::uint8_t> out) {
  if (auto st = strip_prefix(s); !st.ok()) return st;
  if (s.size() != out.size() * 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected ", out.size(), " bytes of hex, got ", s.size(), " digits"));
  }
  return decode_digits(s, out.data());
}

absl::StatusOr<Uint256> parse_quantity256(absl::string_view s) {
  if (auto st = strip_prefix(s); !st.ok()) return st;
  if (s.empty()) return absl::InvalidArgumentError("quantity without digits");
  while (!s.empty() && s[0] == '0') s.remove_prefix(1);
  if (s.size() > 64) return absl::InvalidArgumentError("quantity above 256 bits");
  Uint256 out;
  std::size_t nibble = 64 - s.size();
  for (char c : s) {
    const int v = value_of(c);
    if (v < 0) return absl::InvalidArgumentError("not a hex digit");
    auto& b = out.bytes[nibble / 2];
    b = static_cast<std::uint8_t>(nibble % 2 == 0 ? v << 4 : b | v);
    ++nibble;
  }
  return out;
}

absl::StatusOr<std::uint64_t> parse_quantity(absl::string_view s) {
  if (auto st = strip_prefix(s); !st.ok()) return st;
  if (s.empty()) return absl::InvalidArgumentError("quantity without digits");
  while (s.size() > 1 && s[0] == '0') s.remove_prefix(1);
  if (s.size() > 16) return absl::InvalidArgumentError("quantity above 64 bits");
  std::uint64_t out = 0;
  for (char c : s) {
    const int v = value_of(c);
    if (v < 0) return absl::InvalidArgumentError("not a hex digit");
    out = out << 4U | static_cast<std::uint64_t>(v);
  }
  return out;
}

}  // namespace towline
