// Headers: a decoded header encodes to the same bytes.
#include "libs/eth/header.hpp"
#include "libs/eth/payload.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace towline;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView in{data, size};
  const auto h = eth::decode_header(in);
  if (!h.ok()) return 0;
  fuzz::require(eth::encode_header(*h) == Bytes(in.begin(), in.end()));
  const Hash32 hash = eth::hash_header(*h);
  if (!eth::verify_header(*h, hash).ok()) return 0;
  // A verified header survives the conversion to a payload and back, except the root of its transactions, which are
  // not here.
  eth::Header again = eth::header_of(eth::make_payload(*h, hash, {}));
  again.transactions_root = h->transactions_root;
  fuzz::require(again == *h);
  return 0;
}
