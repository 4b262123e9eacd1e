// Micro benchmarks of the hot paths. The block is of the size that Base mainnet has: about 210 transactions, 360 kB of
// JSON.
#include <benchmark/benchmark.h>
#include <simdjson.h>

#include "libs/base/hex.hpp"
#include "libs/crypto/keccak.hpp"
#include "libs/eth/block_json.hpp"
#include "libs/eth/engine_json.hpp"
#include "libs/eth/header.hpp"
#include "libs/eth/payload.hpp"
#include "libs/eth/raw_block.hpp"
#include "libs/gossip_block/validator.hpp"
#include "libs/trie/ordered_root.hpp"
#include "tests/support/sample_blocks.hpp"

namespace towline {
namespace {

const testing::SampleBlock& typical() {
  static const testing::SampleBlock block = testing::sample_block(1, 210, 420);
  return block;
}

void bytes(benchmark::State& state, std::size_t n) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(n));
}

void keccak(benchmark::State& state) {
  testing::Random random{1};
  const Bytes data = testing::random_bytes(random, static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(keccak256(data));
  bytes(state, data.size());
}
BENCHMARK(keccak)->Arg(100)->Arg(600)->Arg(100'000);

void header_hash(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(eth::hash_header(typical().header));
}
BENCHMARK(header_hash);

void transactions_root(benchmark::State& state) {
  std::size_t size = 0;
  for (const Bytes& tx : typical().transactions) size += tx.size();
  for (auto _ : state) benchmark::DoNotOptimize(trie::ordered_root(typical().transactions));
  bytes(state, size);
}
BENCHMARK(transactions_root);

void block_json_parse(benchmark::State& state) {
  const std::string text = testing::block_json(typical().header, typical().hash, typical().transactions);
  simdjson::dom::parser parser;
  for (auto _ : state) {
    const auto element = parser.parse(text).value();
    const auto header = eth::header_from_json(element);
    const auto transactions = eth::transactions_from_json(element);
    if (!header.ok() || !transactions.ok()) state.SkipWithError("parse");
  }
  bytes(state, text.size());
}
BENCHMARK(block_json_parse)->Unit(benchmark::kMicrosecond);

void block_json_parse_and_verify(benchmark::State& state) {
  const std::string text = testing::block_json(typical().header, typical().hash, typical().transactions);
  simdjson::dom::parser parser;
  for (auto _ : state) {
    const auto element = parser.parse(text).value();
    const auto header = eth::header_from_json(element);
    if (!eth::verify_header(header->header, typical().hash).ok()) state.SkipWithError("header");
    if (!eth::verified_transactions_from_json(element, header->header).ok()) state.SkipWithError("body");
  }
  bytes(state, text.size());
}
BENCHMARK(block_json_parse_and_verify)->Unit(benchmark::kMicrosecond);

void raw_block_parse_and_verify(benchmark::State& state) {
  const std::string text = to_hex(eth::encode_raw_block(typical().header, typical().transactions));
  for (auto _ : state) {
    const Bytes raw = *parse_hex(text);
    const auto block = eth::decode_raw_block(raw);
    if (!eth::verify_header(block->header, typical().hash).ok()) state.SkipWithError("header");
    if (!eth::verify_body(block->header, block->transactions).ok()) state.SkipWithError("body");
  }
  bytes(state, text.size());
}
BENCHMARK(raw_block_parse_and_verify)->Unit(benchmark::kMicrosecond);

void engine_body(benchmark::State& state) {
  const eth::Payload p = eth::make_payload(typical().header, typical().hash, typical().transactions);
  std::string body;
  for (auto _ : state) {
    body.clear();
    eth::append_new_payload_params(p, 4, body);
    benchmark::DoNotOptimize(body.data());
  }
  bytes(state, body.size());
}
BENCHMARK(engine_body)->Unit(benchmark::kMicrosecond);

/// A gossiped block of about so many bytes, from its compressed message to the verdict.
void gossip_message_to_verdict(benchmark::State& state) {
  testing::Random random{1};
  eth::Payload p;
  p.number = 1;
  p.timestamp = 1'700'000'000;
  for (std::int64_t left = state.range(0); left > 0; left -= 500)
    p.transactions.push_back(testing::random_bytes(random, 500));
  p.has_withdrawals = true;
  p.blob_gas_used = p.excess_blob_gas = 0;
  p.parent_beacon_block_root = p.withdrawals_root = Hash32{};
  p.block_hash = eth::hash_of(p);
  const auto key = *secp256k1::SecretKey::from(Bytes(32, 1));
  rollup::Config config;
  const Bytes message = gossip_block::encode_message(10, gossip_block::PayloadVersion::v4, p, key);
  const std::vector<Address> signers = {secp256k1::address_of(key.public_key())};
  for (auto _ : state) {
    const auto body = gossip_block::decompress(message);
    benchmark::DoNotOptimize(gossip_block::message_id("/optimism/10/3/blocks", message, &*body));
    const auto c = gossip_block::check(config, {10}, gossip_block::PayloadVersion::v4, &*body, signers,
                                       absl::FromUnixSeconds(1'700'000'000));
    if (c.rule != gossip_block::Rule::none) state.SkipWithError("the block is refused");
  }
  bytes(state, message.size());
}
BENCHMARK(gossip_message_to_verdict)->Arg(10'000)->Arg(100'000)->Arg(1'000'000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace towline

BENCHMARK_MAIN();
