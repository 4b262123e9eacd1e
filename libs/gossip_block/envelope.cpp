#include "libs/gossip_block/envelope.hpp"

#include <absl/strings/str_cat.h>
#include <snappy.h>

#include <algorithm>

#include "libs/base/status.hpp"
#include "libs/crypto/keccak.hpp"
#include "libs/crypto/openssl.hpp"

namespace towline::gossip_block {
namespace {

const char* chars(BytesView v) { return reinterpret_cast<const char*>(v.data()); }

absl::StatusOr<std::size_t> declared_size(BytesView message) {
  std::size_t size = 0;
  if (!snappy::GetUncompressedLength(chars(message), message.size(), &size))
    return absl::InvalidArgumentError("snappy: no length");
  if (size > kMaxMessage) return absl::ResourceExhaustedError("snappy: declares more than 10 MiB");
  // A snappy copy of 64 bytes takes at least 3 bytes: a declared length beyond that ratio is false and costs no memory.
  if (size > 22 * message.size()) return absl::InvalidArgumentError("snappy: declares more than it can hold");
  return size;
}

}  // namespace

std::string topic_name(std::uint64_t chain_id, PayloadVersion v) {
  return absl::StrCat("/optimism/", chain_id, "/", static_cast<int>(v) - 1, "/blocks");
}

std::vector<std::string> topic_names(std::uint64_t chain_id) {
  std::vector<std::string> out;
  for (const auto v : {PayloadVersion::v1, PayloadVersion::v2, PayloadVersion::v3, PayloadVersion::v4})
    out.push_back(topic_name(chain_id, v));
  return out;
}

PayloadVersion version_at(const rollup::Config& config, std::uint64_t timestamp) {
  const rollup::Fork f = config.fork_at(timestamp);
  if (f >= rollup::Fork::isthmus) return PayloadVersion::v4;
  if (f >= rollup::Fork::ecotone) return PayloadVersion::v3;
  if (f >= rollup::Fork::canyon) return PayloadVersion::v2;
  return PayloadVersion::v1;
}

absl::StatusOr<Bytes> decompress(BytesView message) {
  TOWLINE_ASSIGN_OR_RETURN(const std::size_t size, declared_size(message));
  Bytes out(size);
  if (!snappy::RawUncompress(chars(message), message.size(), reinterpret_cast<char*>(out.data())))
    return absl::InvalidArgumentError("snappy: corrupt");
  return out;
}

std::size_t decompressed_size(BytesView message) { return declared_size(message).value_or(0); }

Bytes compress(BytesView body) {
  Bytes out(snappy::MaxCompressedLength(body.size()));
  std::size_t size = 0;
  snappy::RawCompress(chars(body), body.size(), reinterpret_cast<char*>(out.data()), &size);
  out.resize(size);
  return out;
}

Hash32 signing_hash(std::uint64_t chain_id, BytesView signed_part) {
  // The domain is 32 zero bytes, the chain id a 32-byte number.
  FixedBytes<96> text;
  for (std::size_t i = 0; i < 8; ++i) text.bytes[63 - i] = static_cast<std::uint8_t>(chain_id >> (8 * i));
  const Hash32 h = keccak256(signed_part);
  std::copy(h.bytes.begin(), h.bytes.end(), text.bytes.begin() + 64);
  return keccak256(text.view());
}

Bytes signed_part(PayloadVersion v, const eth::Payload& p) {
  Bytes out;
  if (v >= PayloadVersion::v3) {
    const Hash32 root = p.parent_beacon_block_root.value_or(Hash32{});
    out.assign(root.bytes.begin(), root.bytes.end());
  }
  eth::encode_ssz(v, p, out);
  return out;
}

Bytes encode_message(std::uint64_t chain_id, PayloadVersion v, const eth::Payload& p, const secp256k1::SecretKey& key) {
  const Bytes part = signed_part(v, p);
  const auto sig = key.sign_recoverable(signing_hash(chain_id, part));
  Bytes body{sig.bytes.begin(), sig.bytes.end()};
  body.insert(body.end(), part.begin(), part.end());
  return compress(body);
}

FixedBytes<20> message_id(const std::string& topic, BytesView message, const Bytes* body) {
  const FixedBytes<4> domain{{static_cast<std::uint8_t>(body != nullptr ? 1 : 0), 0, 0, 0}};
  FixedBytes<8> length;
  for (std::size_t i = 0; i < 8; ++i) length.bytes[i] = static_cast<std::uint8_t>(topic.size() >> (8 * i));
  const Hash32 h =
      crypto::sha256({domain.view(), length.view(), as_bytes(topic), body != nullptr ? BytesView{*body} : message});
  return *FixedBytes<20>::from(h.view().first(20));
}

}  // namespace towline::gossip_block
