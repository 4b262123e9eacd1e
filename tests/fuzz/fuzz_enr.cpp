// Node records and enode URLs: an accepted record is signed, and encodes to the same text.
#include "libs/discv5/enr.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace towline;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView in{data, size};
  if (const auto e = discv5::Enr::decode(in); e.ok()) {
    fuzz::require(e->encoded() == Bytes(in.begin(), in.end()));
    fuzz::require(*discv5::Enr::parse(e->to_string()) == *e);
    (void)e->multiaddr();
  }
  const std::string text = fuzz::text(data, size);
  (void)discv5::Enr::parse(text);
  (void)discv5::parse_enode(text);
  return 0;
}
