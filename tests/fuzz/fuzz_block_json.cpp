// eth_getBlockBy* with any JSON: a block that is read can be encoded, and verified bodies have the header's root.
#include "libs/eth/block_json.hpp"
#include "libs/eth/header.hpp"
#include "libs/eth/payload.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace towline;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  simdjson::dom::parser parser;
  simdjson::dom::element element;
  const std::string s = fuzz::text(data, size);
  if (parser.parse(s).get(element) != simdjson::SUCCESS) return 0;
  const auto header = eth::header_from_json(element);
  const auto transactions = eth::transactions_from_json(element);
  if (header.ok()) {
    const bool good = eth::verify_header(header->header, eth::hash_header(header->header)).ok();
    if (good) fuzz::require(eth::decode_header(eth::encode_header(header->header)).ok());
    const auto verified = eth::verified_transactions_from_json(element, header->header);
    if (verified.ok()) fuzz::require(eth::verify_body(header->header, *verified).ok());
    if (transactions.ok() && verified.ok()) fuzz::require(*transactions == *verified);
  }
  eth::transaction_from_json(element).IgnoreError();
  return 0;
}
