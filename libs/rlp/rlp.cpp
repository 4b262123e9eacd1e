#include "libs/rlp/rlp.hpp"

namespace towline::rlp {
namespace {

absl::Status bad(const char* why) { return absl::InvalidArgumentError(why); }

void append_header(std::size_t size, std::uint8_t short_base, Bytes& out) {
  if (size <= 55) {
    out.push_back(static_cast<std::uint8_t>(short_base + size));
    return;
  }
  int bytes = 0;
  for (std::size_t n = size; n != 0; n >>= 8U) ++bytes;
  out.push_back(static_cast<std::uint8_t>(short_base + 55 + bytes));
  for (int i = bytes - 1; i >= 0; --i)
    out.push_back(static_cast<std::uint8_t>(size >> (8U * static_cast<unsigned>(i))));
}

BytesView minimal(BytesView v) {
  while (!v.empty() && v[0] == 0) v = v.subspan(1);
  return v;
}

}  // namespace

absl::StatusOr<Item> Reader::next() {
  if (in_.empty()) return bad("rlp: end of input");
  const BytesView start = in_;
  const std::uint8_t prefix = in_[0];
  if (prefix < 0x80) {
    in_ = in_.subspan(1);
    return Item{Kind::string, start.first(1), start.first(1)};
  }
  const Kind kind = prefix < 0xc0 ? Kind::string : Kind::list;
  const std::uint8_t base = kind == Kind::string ? 0x80 : 0xc0;
  std::size_t header = 1;
  std::uint64_t size = static_cast<std::uint64_t>(prefix - base);
  if (size > 55) {
    const std::size_t bytes = static_cast<std::size_t>(size) - 55;
    ByteReader r{in_.subspan(1)};
    auto n = r.be(bytes);
    if (!n) return bad("rlp: truncated length");
    if (*n <= 55 || in_[1] == 0) return bad("rlp: length is not in its shortest form");
    size = *n;
    header += bytes;
  }
  if (size > in_.size() - header) return bad("rlp: truncated");
  const BytesView payload = in_.subspan(header, static_cast<std::size_t>(size));
  if (kind == Kind::string && size == 1 && payload[0] < 0x80)
    return bad("rlp: single byte is not in its shortest form");
  const std::size_t whole = header + static_cast<std::size_t>(size);
  in_ = in_.subspan(whole);
  return Item{kind, payload, start.first(whole)};
}

absl::StatusOr<BytesView> Reader::string() {
  auto item = next();
  if (!item.ok()) return item.status();
  if (item->kind != Kind::string) return bad("rlp: expected a string, got a list");
  return item->payload;
}

absl::StatusOr<Uint256> Reader::u256() {
  auto s = string();
  if (!s.ok()) return s.status();
  if (s->size() > 32) return bad("rlp: integer too large");
  if (!s->empty() && (*s)[0] == 0) return bad("rlp: integer with leading zero");
  Uint256 out;
  std::memcpy(out.bytes.data() + (32 - s->size()), s->data(), s->size());
  return out;
}

absl::StatusOr<std::uint64_t> Reader::u64() {
  auto s = string();
  if (!s.ok()) return s.status();
  if (s->size() > 8) return bad("rlp: integer too large");
  if (!s->empty() && (*s)[0] == 0) return bad("rlp: integer with leading zero");
  return *ByteReader{*s}.be(s->size());
}

absl::StatusOr<Reader> Reader::list() {
  auto item = next();
  if (!item.ok()) return item.status();
  if (item->kind != Kind::list) return bad("rlp: expected a list, got a string");
  return Reader{item->payload};
}

absl::Status Reader::finish() const { return in_.empty() ? absl::OkStatus() : bad("rlp: bytes left over"); }

void append_string_header(BytesView s, Bytes& out) {
  if (s.size() != 1 || s[0] >= 0x80) append_header(s.size(), 0x80, out);
}

void append_string(BytesView s, Bytes& out) {
  append_string_header(s, out);
  out.insert(out.end(), s.begin(), s.end());
}

void append_u64(std::uint64_t n, Bytes& out) {
  std::uint8_t be[8];
  for (unsigned i = 0; i < 8; ++i) be[i] = static_cast<std::uint8_t>(n >> (56U - 8U * i));
  append_string(minimal(be), out);
}

void append_u256(const Uint256& n, Bytes& out) { append_string(minimal(n.view()), out); }

void append_list_header(std::size_t size, Bytes& out) { append_header(size, 0xc0, out); }

void append_list(BytesView payload, Bytes& out) {
  append_list_header(payload.size(), out);
  out.insert(out.end(), payload.begin(), payload.end());
}

}  // namespace towline::rlp
