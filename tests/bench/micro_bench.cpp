// Micro benchmarks of the hot paths. The block has the size of Base mainnet's: about 210 transactions, 360 kB of JSON.
#include <benchmark/benchmark.h>
#include <simdjson.h>

#include <cstring>
#include <memory>

#include "libs/base/hex.hpp"
#include "libs/crypto/keccak.hpp"
#include "libs/eth/block_json.hpp"
#include "libs/eth/engine_json.hpp"
#include "libs/eth/envelope.hpp"
#include "libs/eth/header.hpp"
#include "libs/eth/payload.hpp"
#include "libs/eth/raw_block.hpp"
#include "libs/gossip_block/validator.hpp"
#include "libs/p2p/node.hpp"
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

void envelopes(benchmark::State& state) {
  std::size_t size = 0;
  for (const Bytes& tx : typical().transactions) size += tx.size();
  for (auto _ : state)
    if (!eth::check_envelopes(typical().transactions).ok()) state.SkipWithError("refused");
  bytes(state, size);
}
BENCHMARK(envelopes)->Unit(benchmark::kMicrosecond);

/// A gossiped block of about this many bytes, from its compressed message to the validation result.
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
    if (c.rule != gossip_block::Failure::none) state.SkipWithError("the block is refused");
  }
  bytes(state, message.size());
}
BENCHMARK(gossip_message_to_verdict)->Arg(10'000)->Arg(100'000)->Arg(1'000'000)->Unit(benchmark::kMicrosecond);

/// A node that accepts all messages and keeps none.
struct Member final : p2p::Node::Handler {
  explicit Member(std::uint8_t i)
      : identity{*secp256k1::SecretKey::from(Bytes(32, i))}, node{identity, options(), codec(), *this, i, kNow} {}
  static p2p::Node::Options options() {
    p2p::Node::Options o;
    o.topics = {"/t"};
    return o;
  }
  /// Another benchmark measures the message id.
  static p2p::Gossipsub::Codec codec() {
    return {[](const std::string&, BytesView data) {
              p2p::MessageId id;
              std::copy(data.begin(), data.begin() + 20, id.bytes.begin());
              return p2p::Gossipsub::Identified{id, nullptr};
            },
            [](BytesView) { return std::size_t{0}; }};
  }
  absl::Status admit(const p2p::PeerId&, const p2p::SocketAddress&, bool) override { return absl::OkStatus(); }
  void on_peer_connected(const p2p::PeerId&, const p2p::SocketAddress&, bool) override {}
  void on_peer_replaced(const p2p::PeerId&, const p2p::SocketAddress&, bool) override {}
  void on_peer_disconnected(const p2p::PeerId&, const absl::Status&) override {}
  void on_bad_score(const p2p::PeerId&, double) override {}
  void validate(p2p::Gossipsub::Validation) override {}

  static constexpr absl::Time kNow = absl::UnixEpoch();
  p2p::Identity identity;
  p2p::Node node;
};

/// From a valid message to the bytes for the sockets of eight mesh peers: framing, flow control, encryption.
void gossip_forward_to_8_peers(benchmark::State& state) {
  Member hub{1};
  std::vector<std::unique_ptr<Member>> peers;
  absl::Time now = Member::kNow;
  for (std::uint8_t i = 0; i < 8; ++i) {
    peers.push_back(std::make_unique<Member>(static_cast<std::uint8_t>(2 + i)));
    peers[i]->node.add_connection(1, true, {p2p::ip4(10, 0, 0, 1), 1}, {}, now);
    hub.node.add_connection(i, false, {p2p::ip4(10, 0, 1, i), 1}, {}, now);
  }
  Bytes out;
  const auto carry = [&] {
    for (bool moved = true; moved;) {
      moved = false;
      for (std::uint8_t i = 0; i < 8; ++i) {
        out.clear();
        hub.node.output(i, out, 1U << 24U);
        peers[i]->node.on_bytes(1, out, now);
        moved = moved || !out.empty();
        out.clear();
        peers[i]->node.output(1, out, 1U << 24U);
        hub.node.on_bytes(i, out, now);
        moved = moved || !out.empty();
      }
    }
  };
  carry();
  for (int i = 0; i < 4; ++i) {
    now += absl::Milliseconds(500);
    hub.node.on_timer(now);
    carry();
  }
  if (hub.node.gossip().mesh_size(0) != 8) return state.SkipWithError("no mesh of eight");
  Bytes message(static_cast<std::size_t>(state.range(0)), 7);
  std::uint64_t n = 0;
  std::size_t sent = 0;
  for (auto _ : state) {
    ++n;
    std::memcpy(message.data(), &n, sizeof n);
    hub.node.publish(0, message, now);
    for (std::uint8_t i = 0; i < 8; ++i) {
      out.clear();
      hub.node.output(i, out, 1U << 24U);
      sent += out.size();
      state.PauseTiming();  // the peers' work
      peers[i]->node.on_bytes(1, out, now);
      out.clear();
      peers[i]->node.output(1, out, 1U << 24U);
      hub.node.on_bytes(i, out, now);
      state.ResumeTiming();
    }
  }
  if (sent < n * 8 * message.size()) return state.SkipWithError("not all was sent");
  state.SetBytesProcessed(static_cast<std::int64_t>(sent));
}
BENCHMARK(gossip_forward_to_8_peers)->Arg(10'000)->Arg(100'000)->Arg(250'000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace towline

BENCHMARK_MAIN();
