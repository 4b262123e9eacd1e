// The check of transactions at the last gate. A transaction that passes has only one encoding, and one that passes as a
// deposit also decodes as a deposit.
#include "libs/eth/deposits.hpp"
#include "libs/eth/envelope.hpp"
#include "libs/rlp/rlp.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace towline;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView raw{data, size};
  const bool good = eth::check_envelope(raw).ok();
  const bool deposit = size > 0 && raw[0] == 0x7e;
  if (deposit) fuzz::require(good == eth::decode_deposit(raw).ok());
  if (!good) return 0;
  fuzz::require(size > 1 && raw[0] != 0 && (raw[0] < 0x80 || raw[0] >= 0xc0));
  if (!deposit && raw[0] > 4 && raw[0] < 0x80) return 0;
  // The transaction ends with its last byte: with one more it does not pass.
  Bytes longer{raw.begin(), raw.end()};
  longer.push_back(0);
  fuzz::require(!eth::check_envelope(longer).ok());
  fuzz::require(!eth::check_envelope(raw.first(size - 1)).ok());
  return 0;
}
