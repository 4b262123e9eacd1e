#include "libs/http/encoding.hpp"

#include <absl/strings/match.h>
#include <zlib.h>

#include <algorithm>

namespace towline::http {
namespace {

constexpr std::size_t kChunk = 64U << 10U;

Response refused(absl::string_view why) { return unavailable(Failure::encoding, why); }

/// The limit of the output also bounds the time: deflate yields at most 1,032 bytes for one.
Response gunzip(const std::string& packed, std::size_t max_bytes, std::string& out) {
  z_stream z{};
  if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) return refused("the answer cannot be unpacked: no memory");
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));  // NOLINT: zlib only reads it
  z.avail_in = static_cast<uInt>(packed.size());
  int state = Z_OK;
  while (state == Z_OK && out.size() <= max_bytes) {
    const std::size_t before = out.size();
    const std::size_t room = std::min(std::max(kChunk, before), max_bytes + 1 - before);
    out.resize(before + room);
    z.next_out = reinterpret_cast<Bytef*>(out.data() + before);
    z.avail_out = static_cast<uInt>(room);
    state = inflate(&z, Z_NO_FLUSH);
    out.resize(before + room - z.avail_out);
  }
  const bool whole = state == Z_STREAM_END && z.avail_in == 0;
  inflateEnd(&z);
  if (out.size() > max_bytes) return too_large(max_bytes);
  return whole ? Response{} : refused("the answer's gzip encoding is broken");
}

}  // namespace

Response decoded(Response r, std::size_t max_bytes) {
  if (r.failure != Failure::none || r.encoding.empty()) return r;
  std::string plain;
  const Response why = r.encoding == "gzip" ? gunzip(r.body, max_bytes, plain)
                                            : refused("the answer has a Content-Encoding that was not asked for");
  r.encoding.clear();
  r.body = std::move(plain);
  if (why.failure == Failure::none) return r;
  r.body = {};
  if (r.status / 100 != 2) return r;
  r.failure = why.failure;
  r.transport = why.transport;
  return r;
}

}  // namespace towline::http
