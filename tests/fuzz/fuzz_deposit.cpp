// Deposits and L1-info deposits.
#include "libs/eth/deposits.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace towline;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto info = eth::decode_l1_info({data, size});
  if (info.ok()) fuzz::require(eth::decode_deposit({data, size}).ok());
  return 0;
}
