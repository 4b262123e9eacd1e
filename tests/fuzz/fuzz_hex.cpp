// Hex: a value that is read is written as the same value.
#include "libs/base/hex.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace towline;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string s = fuzz::text(data, size);
  if (auto v = parse_hex(s); v.ok()) {
    const std::string again = to_hex(*v);
    fuzz::require(again.size() == s.size() && *parse_hex(again) == *v);
  }
  if (auto n = parse_quantity(s); n.ok()) {
    fuzz::require(*parse_quantity(to_quantity(*n)) == *n);
    fuzz::require(to_quantity(*parse_quantity256(s)) == to_quantity(*n));
  }
  if (auto n = parse_quantity256(s); n.ok()) fuzz::require(*parse_quantity256(to_quantity(*n)) == *n);
  if (auto h = parse_fixed_hex<32>(s); h.ok()) fuzz::require(s.size() == 66);
  return 0;
}
