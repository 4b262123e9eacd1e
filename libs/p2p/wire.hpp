// The encodings that libp2p's protocols share: unsigned varints, length-delimited messages, and the protobuf forms of
// their messages. Written by hand because absent and empty fields differ here, and every length is bounded before it is
// used. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>

#include "libs/base/bytes.hpp"

namespace towline::p2p {

/// multiformats unsigned-varint: at most 10 bytes, minimal form.
void append_uvarint(std::uint64_t n, Bytes& out);

struct Uvarint {
  std::uint64_t value;
  std::size_t size;
};
/// nullopt: more bytes are needed. INVALID_ARGUMENT: too long, or not the minimal form.
absl::StatusOr<std::optional<Uvarint>> read_uvarint(BytesView in);

/// Appends `message` with its length prefix.
void append_delimited(BytesView message, Bytes& out);

/// Cuts a byte stream into length-delimited messages. Memory grows as bytes arrive, never by a declared length.
class DelimitedReader {
 public:
  explicit DelimitedReader(std::size_t max_message) : max_{max_message} {}
  void append(BytesView in);
  /// nullopt: more bytes are needed. RESOURCE_EXHAUSTED: longer than the limit. The view is valid until the next call.
  absl::StatusOr<std::optional<BytesView>> next();
  std::size_t buffered() const { return buffer_.size() - at_; }

 private:
  std::size_t max_;
  Bytes buffer_;
  std::size_t at_ = 0;
  /// The buffer size for the partly received message.
  std::size_t wanted_ = 0;
};

namespace pb {

/// Writes fields in the order of the calls.
class Writer {
 public:
  explicit Writer(Bytes& out) : out_{out} {}
  void varint(std::uint32_t field, std::uint64_t v);
  void bytes(std::uint32_t field, BytesView v);
  void string(std::uint32_t field, absl::string_view v) { bytes(field, as_bytes(v)); }

 private:
  Bytes& out_;
};

struct Field {
  std::uint32_t number = 0;
  bool is_bytes = false;  // length-delimited; else `value`
  std::uint64_t value = 0;
  BytesView bytes;
};

/// Walks over the fields of one message; fixed-size fields come out as numbers, so that unknown ones can be skipped.
class Reader {
 public:
  explicit Reader(BytesView in) : in_{in} {}
  bool empty() const { return in_.empty(); }
  /// INVALID_ARGUMENT: truncated, or a group.
  absl::StatusOr<Field> next();

 private:
  BytesView in_;
};

}  // namespace pb
}  // namespace towline::p2p
