// A block from the network: snappy, envelope, SSZ. A message that decodes encodes to the same bytes.
#include "libs/gossip_block/validator.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace towline;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto version = static_cast<eth::PayloadVersion>(1 + data[0] % 4);
  const BytesView in{data + 1, size - 1};
  if (const auto p = eth::decode_ssz(version, in); p.ok() && p->withdrawals == 0) {
    Bytes again;
    eth::encode_ssz(version, p->payload, again);
    fuzz::require(again == Bytes(in.begin(), in.end()));
  }
  const auto body = gossip_block::decompress(in);
  const Bytes* b = body.ok() ? &*body : nullptr;
  (void)gossip_block::message_id("/optimism/10/3/blocks", in, b);
  rollup::Config config;
  config.l2_chain_id = 10;
  const auto c = gossip_block::check(config, {10}, version, b, {Address{}}, absl::FromUnixSeconds(1'700'000'000));
  fuzz::require(c.rule != gossip_block::Failure::none);
  // With the signer accepted the other rules are reached.
  if (c.signer) (void)gossip_block::check(config, {10}, version, b, {*c.signer}, absl::FromUnixSeconds(1'700'000'000));
  return 0;
}
