// RLP: bytes that the strict reader accepts are the one canonical encoding of their value.
#include "libs/rlp/rlp.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace towline;

namespace {

bool copy(rlp::Reader r, int depth, Bytes& out) {
  while (!r.empty()) {
    const auto item = r.next();
    if (!item.ok()) return false;
    if (item->kind == rlp::Kind::list && depth > 0) {
      Bytes payload;
      if (!copy(rlp::Reader{item->payload}, depth - 1, payload)) return false;
      rlp::append_list(payload, out);
    } else if (item->kind == rlp::Kind::list) {
      rlp::append_list(item->payload, out);
    } else {
      rlp::append_string(item->payload, out);
    }
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView in{data, size};
  Bytes out;
  if (copy(rlp::Reader{in}, 16, out)) fuzz::require(out == Bytes(in.begin(), in.end()));
  if (auto n = rlp::Reader{in}.u64(); n.ok()) {
    out.clear();
    rlp::append_u64(*n, out);
    fuzz::require(out.size() <= size && std::equal(out.begin(), out.end(), data));
  }
  if (auto n = rlp::Reader{in}.u256(); n.ok()) {
    out.clear();
    rlp::append_u256(*n, out);
    fuzz::require(out.size() <= size && std::equal(out.begin(), out.end(), data));
  }
  return 0;
}
