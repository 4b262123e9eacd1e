// Packets and messages of discv5: a decoded message encodes to the same bytes.
#include "libs/discv5/packet.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace towline;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView in{data, size};
  if (const auto m = discv5::decode_message(in); m.ok()) {
    // An IPv4 address may come in the IPv6 form; everything else has one form.
    if (!std::holds_alternative<discv5::Pong>(*m)) fuzz::require(discv5::encode(*m) == Bytes(in.begin(), in.end()));
  }
  if (const auto p = discv5::decode_packet({}, in); p.ok()) (void)discv5::open(*p, {});
  return 0;
}
