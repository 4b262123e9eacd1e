// debug_getRawBlock: a decoded block encodes to the same bytes, except for the optional empty withdrawals list.
#include "libs/eth/payload.hpp"
#include "libs/eth/raw_block.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace towline;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto block = eth::decode_raw_block({data, size});
  if (!block.ok()) return 0;
  const auto again = eth::decode_raw_block(eth::encode_raw_block(block->header, block->transactions));
  fuzz::require(again.ok() && again->header == block->header && again->transactions == block->transactions);
  eth::verify_body(block->header, block->transactions).IgnoreError();
  return 0;
}
