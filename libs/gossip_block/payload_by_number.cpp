#include "libs/gossip_block/payload_by_number.hpp"

#include <absl/strings/str_cat.h>
#include <snappy.h>

#include <algorithm>
#include <boost/crc.hpp>

#include "libs/base/status.hpp"

namespace towline::gossip_block {
namespace {

enum Answer : std::uint8_t { kFound = 0, kNotFound = 1 };
/// Of the bytes that follow: a bare payload, or the beacon root and a payload.
enum AnswerVersion : std::uint32_t { kBare = 0, kWithBeaconRoot = 1 };
constexpr std::size_t kAnswerHead = 5;

enum Chunk : std::uint8_t { kCompressed = 0, kUncompressed = 1, kFirstSkippable = 0x80, kStreamId = 0xff };
constexpr std::size_t kChunkHead = 4, kChecksum = 4, kMaxChunkText = 65536;
constexpr absl::string_view kStreamName = "sNaPpY";

std::uint64_t little_endian(BytesView in) {
  std::uint64_t n = 0;
  for (std::size_t i = in.size(); i-- > 0;) n = n << 8U | in[i];
  return n;
}
void append_little_endian(std::uint64_t n, std::size_t bytes, Bytes& out) {
  for (std::size_t i = 0; i < bytes; ++i) out.push_back(static_cast<std::uint8_t>(n >> (8 * i)));
}

std::uint32_t checksum(BytesView text) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc32c;
  crc32c.process_bytes(text.data(), text.size());
  const std::uint32_t c = crc32c.checksum();
  return (c >> 15U | c << 17U) + 0xa282ead8U;
}

/// The place of the time in every version's SSZ.
constexpr std::size_t kTimestampAt = 428;

}  // namespace

std::vector<std::string> payload_by_number_protocols(std::uint64_t chain_id) {
  const std::string id = absl::StrCat("/opstack/req/payload_by_number/", chain_id, "/0");
  return {id, id + "/"};
}

Bytes encode_payload_request(std::uint64_t number) {
  Bytes out;
  append_little_endian(number, kPayloadRequest, out);
  return out;
}

std::optional<std::uint64_t> decode_payload_request(BytesView in) {
  return in.size() == kPayloadRequest ? std::optional{little_endian(in)} : std::nullopt;
}

Bytes payload_not_found() { return {kNotFound}; }

Bytes encode_payload_answer(const eth::Payload& p) {
  const auto version = p.withdrawals_root           ? PayloadVersion::v4
                       : p.parent_beacon_block_root ? PayloadVersion::v3
                       : p.has_withdrawals          ? PayloadVersion::v2
                                                    : PayloadVersion::v1;
  Bytes out{kFound};
  append_little_endian(version >= PayloadVersion::v3 ? kWithBeaconRoot : kBare, kAnswerHead - 1, out);
  const Bytes framed = frame(signed_part(version, p));
  out.insert(out.end(), framed.begin(), framed.end());
  return out;
}

absl::StatusOr<eth::Payload> decode_payload_answer(const rollup::Config& config, BytesView in) {
  if (in.empty()) return absl::UnavailableError("the peer closed the stream without an answer");
  if (in[0] == kNotFound) return absl::NotFoundError("the peer has no such block");
  if (in[0] != kFound) return absl::UnavailableError(absl::StrCat("the peer answers with code ", in[0]));
  if (in.size() < kAnswerHead) return absl::InvalidArgumentError("the answer has no version");
  const auto kind = little_endian(in.subspan(1, kAnswerHead - 1));
  if (kind > kWithBeaconRoot) return absl::InvalidArgumentError(absl::StrCat("an answer of version ", kind));
  TOWLINE_ASSIGN_OR_RETURN(const Bytes text, unframe(in.subspan(kAnswerHead)));
  BytesView ssz{text};
  std::optional<Hash32> beacon_root;
  if (kind == kWithBeaconRoot) {
    if (ssz.size() < Hash32::kSize) return absl::InvalidArgumentError("the parent beacon block root is missing");
    beacon_root = *Hash32::from(ssz.first(Hash32::kSize));
    ssz = ssz.subspan(Hash32::kSize);
  }
  if (ssz.size() < kTimestampAt + 8) return absl::InvalidArgumentError("the payload is too short");
  const auto version = version_at(config, little_endian(ssz.subspan(kTimestampAt, 8)));
  if ((version >= PayloadVersion::v3) != beacon_root.has_value())
    return absl::InvalidArgumentError("the answer's version is not the one of the block's time");
  TOWLINE_ASSIGN_OR_RETURN(auto decoded, eth::decode_ssz(version, ssz));
  if (decoded.withdrawals > 0) return absl::InvalidArgumentError("the payload lists withdrawals");
  decoded.payload.parent_beacon_block_root = beacon_root;
  return std::move(decoded.payload);
}

Bytes frame(BytesView text) {
  Bytes out{kStreamId, kStreamName.size(), 0, 0};
  out.insert(out.end(), kStreamName.begin(), kStreamName.end());
  while (!text.empty()) {
    const BytesView part = text.first(std::min(text.size(), kMaxChunkText));
    text = text.subspan(part.size());
    const Bytes packed = compress(part);
    const bool smaller = packed.size() < part.size();
    const BytesView body = smaller ? BytesView{packed} : part;
    out.push_back(smaller ? kCompressed : kUncompressed);
    append_little_endian(kChecksum + body.size(), kChunkHead - 1, out);
    append_little_endian(checksum(part), kChecksum, out);
    out.insert(out.end(), body.begin(), body.end());
  }
  return out;
}

absl::StatusOr<Bytes> unframe(BytesView stream) {
  Bytes out;
  bool begun = false;
  while (!stream.empty()) {
    if (stream.size() < kChunkHead) return absl::InvalidArgumentError("snappy frames: cut off");
    const std::uint8_t type = stream[0];
    const auto size = static_cast<std::size_t>(little_endian(stream.subspan(1, kChunkHead - 1)));
    stream = stream.subspan(kChunkHead);
    if (size > stream.size()) return absl::InvalidArgumentError("snappy frames: cut off");
    BytesView body = stream.first(size);
    stream = stream.subspan(size);
    if (type == kStreamId ? as_bytes(kStreamName).size() != size ||
                                !std::equal(body.begin(), body.end(), kStreamName.begin(),
                                            [](auto a, auto b) { return a == static_cast<std::uint8_t>(b); })
                          : !begun)
      return absl::InvalidArgumentError("snappy frames: no stream");
    begun = true;
    if (type >= kFirstSkippable) continue;
    if (type > kUncompressed) return absl::InvalidArgumentError("snappy frames: an unknown chunk");
    if (size < kChecksum) return absl::InvalidArgumentError("snappy frames: a chunk without checksum");
    const auto sum = static_cast<std::uint32_t>(little_endian(body.first(kChecksum)));
    body = body.subspan(kChecksum);
    Bytes unpacked;
    if (type == kCompressed) {
      TOWLINE_ASSIGN_OR_RETURN(unpacked, decompress(body));
      body = unpacked;
    }
    if (body.size() > kMaxChunkText) return absl::InvalidArgumentError("snappy frames: a chunk over 64 KiB");
    if (checksum(body) != sum) return absl::InvalidArgumentError("snappy frames: a wrong checksum");
    if (out.size() + body.size() > kMaxMessage) return absl::ResourceExhaustedError("snappy frames: more than 10 MiB");
    out.insert(out.end(), body.begin(), body.end());
  }
  return out;
}

}  // namespace towline::gossip_block
