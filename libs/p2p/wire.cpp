#include "libs/p2p/wire.hpp"

#include <algorithm>

#include "libs/base/status.hpp"

namespace towline::p2p {

void append_uvarint(std::uint64_t n, Bytes& out) {
  for (; n >= 0x80; n >>= 7U) out.push_back(static_cast<std::uint8_t>(n | 0x80U));
  out.push_back(static_cast<std::uint8_t>(n));
}

absl::StatusOr<std::optional<Uvarint>> read_uvarint(BytesView in) {
  std::uint64_t v = 0;
  for (std::size_t i = 0; i < in.size(); ++i) {
    const std::uint64_t b = in[i];
    if (i == 9 && b > 1) return absl::InvalidArgumentError("varint: more than 64 bits");
    v |= (b & 0x7fU) << (7 * i);
    if (b >= 0x80) continue;
    if (b == 0 && i > 0) return absl::InvalidArgumentError("varint: not the shortest form");
    return Uvarint{v, i + 1};
  }
  return std::nullopt;
}

void append_delimited(BytesView message, Bytes& out) {
  append_uvarint(message.size(), out);
  out.insert(out.end(), message.begin(), message.end());
}

void DelimitedReader::append(BytesView in) {
  // Grows by doubling, but not beyond the message: for a large message that would take up to twice its memory.
  const std::size_t size = buffer_.size() + in.size();
  if (size > buffer_.capacity()) buffer_.reserve(std::max(size, std::min(2 * buffer_.capacity(), wanted_)));
  buffer_.insert(buffer_.end(), in.begin(), in.end());
}

absl::StatusOr<std::optional<BytesView>> DelimitedReader::next() {
  wanted_ = 0;
  // Releases the message that was handed out before: its view had to live until now.
  if (at_ == buffer_.size()) {
    buffer_.clear();
    at_ = 0;
    if (buffer_.capacity() > 64U << 10U) buffer_.shrink_to_fit();
  }
  const BytesView in = BytesView{buffer_}.subspan(at_);
  TOWLINE_ASSIGN_OR_RETURN(const auto length, read_uvarint(in));
  if (!length) return std::nullopt;
  if (length->value > max_) return absl::ResourceExhaustedError("message longer than the limit");
  if (in.size() - length->size < length->value) {
    if (at_ > 0) {
      buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(at_));
      at_ = 0;
    }
    wanted_ = length->size + length->value;
    return std::nullopt;
  }
  at_ += length->size + length->value;
  return in.subspan(length->size, length->value);
}

namespace pb {

void Writer::varint(std::uint32_t field, std::uint64_t v) {
  append_uvarint(field << 3U, out_);
  append_uvarint(v, out_);
}

void Writer::bytes(std::uint32_t field, BytesView v) {
  append_uvarint(field << 3U | 2U, out_);
  append_delimited(v, out_);
}

absl::StatusOr<Field> Reader::next() {
  const auto varint = [&]() -> absl::StatusOr<std::uint64_t> {
    // Protobuf allows padded varints, and Go's decoder accepts them.
    std::uint64_t v = 0;
    for (std::size_t i = 0; i < in_.size() && i < 10; ++i) {
      v |= (in_[i] & 0x7fULL) << (7 * i);
      if (in_[i] < 0x80) {
        in_ = in_.subspan(i + 1);
        return v;
      }
    }
    return absl::InvalidArgumentError("protobuf: truncated varint");
  };
  TOWLINE_ASSIGN_OR_RETURN(const std::uint64_t key, varint());
  Field f;
  f.number = static_cast<std::uint32_t>(key >> 3U);
  if (f.number == 0 || key >> 32U != 0) return absl::InvalidArgumentError("protobuf: impossible field number");
  std::size_t fixed = 0;
  switch (key & 7U) {
    case 0: {
      TOWLINE_ASSIGN_OR_RETURN(f.value, varint());
      return f;
    }
    case 1: fixed = 8; break;
    case 2: {
      TOWLINE_ASSIGN_OR_RETURN(const std::uint64_t n, varint());
      if (n > in_.size()) return absl::InvalidArgumentError("protobuf: field longer than its message");
      f.is_bytes = true;
      f.bytes = in_.first(n);
      in_ = in_.subspan(n);
      return f;
    }
    case 5: fixed = 4; break;
    default: return absl::InvalidArgumentError("protobuf: groups are not used");
  }
  if (fixed > in_.size()) return absl::InvalidArgumentError("protobuf: truncated number");
  for (std::size_t i = fixed; i-- > 0;) f.value = f.value << 8U | in_[i];
  in_ = in_.subspan(fixed);
  return f;
}

}  // namespace pb
}  // namespace towline::p2p
