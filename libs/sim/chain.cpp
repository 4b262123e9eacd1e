#include "libs/sim/chain.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "libs/base/hex.hpp"
#include "libs/crypto/keccak.hpp"
#include "libs/eth/header.hpp"
#include "libs/rlp/rlp.hpp"
#include "libs/trie/ordered_root.hpp"
#include "tests/support/sample_blocks.hpp"

namespace towline::sim {
namespace {

constexpr std::uint64_t kFirstL1Block = 1000;
constexpr std::uint64_t kL1BlockTime = 12;
constexpr std::uint64_t kL1ChainId = 900;

void append_be(std::uint64_t value, std::size_t bytes, Bytes& out) {
  for (std::size_t i = bytes; i-- > 0;)
    out.push_back(i < 8 ? static_cast<std::uint8_t>(value >> (8 * i)) : std::uint8_t{0});
}

void append_bytes(BytesView v, Bytes& out) { out.insert(out.end(), v.begin(), v.end()); }

Uint256 u256(std::uint64_t value) {
  Bytes out;
  append_be(value, 32, out);
  return *Uint256::from(out);
}

Hash32 hash_of_text(const std::string& text) { return keccak256(as_bytes(text)); }

}  // namespace

Chain::Chain(const ChainOptions& options) : options_{options} {
  Block b;
  eth::Header& h = b.header;
  h.sha3_uncles = eth::kEmptyUncles;
  h.state_root = hash_of_text(absl::StrCat("state ", options.seed));
  h.transactions_root = trie::kEmptyRoot;
  h.receipts_root = trie::kEmptyRoot;
  h.gas_limit = 60'000'000;
  h.timestamp = options.genesis_time;
  h.base_fee_per_gas = u256(1'000'000'000);
  h.withdrawals_root = hash_of_text("no withdrawals yet");
  h.blob_gas_used = 0;
  h.excess_blob_gas = 0;
  h.parent_beacon_block_root = Hash32{};
  h.requests_hash = eth::kEmptyRequests;
  // Jovian: version 1, EIP-1559 denominator and elasticity, minimum base fee.
  h.extra_data.push_back(1);
  append_be(250, 4, h.extra_data);
  append_be(6, 4, h.extra_data);
  append_be(0, 8, h.extra_data);
  b.hash = options.genesis_hash.is_zero() ? eth::hash_header(h) : options.genesis_hash;
  canonical_.push_back(std::make_shared<const Block>(std::move(b)));
  blocks_[canonical_[0]->hash] = canonical_[0];
}

eth::BlockRef Chain::l1_block(std::uint64_t number) const {
  const auto hash = [&](std::uint64_t n) { return hash_of_text(absl::StrCat("l1 ", options_.seed, " ", n)); };
  return {number, hash(number), hash(number - 1), options_.genesis_time + (number - kFirstL1Block) * kL1BlockTime};
}

eth::BlockRef Chain::l1_origin(std::uint64_t number) const {
  return l1_block(kFirstL1Block + number * options_.block_time / kL1BlockTime);
}

Bytes Chain::l1_info(std::uint64_t number) const {
  const eth::BlockRef origin = l1_origin(number);
  std::uint64_t sequence = 0;
  while (sequence < number && l1_origin(number - sequence - 1).number == origin.number) ++sequence;

  Bytes inner;  // the source hash: domain 1 over (L1 hash, sequence number)
  append_bytes(origin.hash.view(), inner);
  append_be(sequence, 32, inner);
  Bytes outer;
  append_be(1, 32, outer);
  append_bytes(keccak256(inner).view(), outer);

  Bytes data;
  append_be(0x3db6be2b, 4, data);  // setL1BlockValuesJovian
  append_be(5227, 4, data);
  append_be(1'014'213, 4, data);
  append_be(sequence, 8, data);
  append_be(origin.timestamp, 8, data);
  append_be(origin.number, 8, data);
  append_be(7, 32, data);  // base fee
  append_be(1, 32, data);  // blob base fee
  append_bytes(origin.hash.view(), data);
  append_be(0x6000, 32, data);  // batcher
  append_be(0, 12, data);       // operator fee
  append_be(400, 2, data);      // data availability footprint

  const Address depositor{{0xde, 0xad, 0xde, 0xad, 0xde, 0xad, 0xde, 0xad, 0xde, 0xad,
                           0xde, 0xad, 0xde, 0xad, 0xde, 0xad, 0xde, 0xad, 0x00, 0x01}};
  const Address l1_block_contract{{0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x15}};
  Bytes fields;
  rlp::append_string(keccak256(outer).view(), fields);
  rlp::append_string(depositor.view(), fields);
  rlp::append_string(l1_block_contract.view(), fields);
  rlp::append_u64(0, fields);  // mint
  rlp::append_u64(0, fields);  // value
  rlp::append_u64(1'000'000, fields);
  rlp::append_u64(0, fields);  // is_system
  rlp::append_string(data, fields);
  Bytes out{0x7e};
  rlp::append_list(fields, out);
  return out;
}

BlockPtr Chain::append(bool malformed) {
  const Block& parent = *canonical_.back();
  Block b;
  b.header = parent.header;
  eth::Header& h = b.header;
  h.parent_hash = parent.hash;
  h.number = parent.header.number + 1;
  h.timestamp = parent.header.timestamp + options_.block_time;
  towline::testing::Random random{options_.seed * 1'000'003 + branch_ * 7919 + h.number * 104'729};
  b.transactions.push_back(l1_info(h.number));
  for (std::size_t i = 0; i < options_.transactions; ++i) {
    static constexpr std::uint8_t kTypes[] = {0x00, 0x01, 0x02, 0x04};
    b.transactions.push_back(
        towline::testing::random_transaction(random, kTypes[random() % std::size(kTypes)], options_.input_bytes));
  }
  if (malformed) {
    b.transactions.push_back(towline::testing::random_transaction(random, 0x02, options_.input_bytes));
    b.transactions.back().push_back(0x80);
  }
  if (options_.unknown_each > 0 && h.number % options_.unknown_each == 0) {
    b.transactions.push_back(
        towline::testing::random_transaction(random, towline::testing::kUnknownType, options_.input_bytes));
  }
  h.miner = towline::testing::random_fixed<20>(random);
  h.state_root = towline::testing::random_fixed<32>(random);
  h.receipts_root = towline::testing::random_fixed<32>(random);
  h.withdrawals_root = towline::testing::random_fixed<32>(random);
  h.mix_hash = towline::testing::random_fixed<32>(random);
  h.parent_beacon_block_root = hash_of_text(absl::StrCat("beacon ", l1_origin(h.number).number));
  h.transactions_root = trie::ordered_root(b.transactions);
  h.gas_used = 21'000 * b.transactions.size();
  h.blob_gas_used = 4000 * options_.transactions;
  b.hash = eth::hash_header(h);
  canonical_.push_back(std::make_shared<const Block>(std::move(b)));
  blocks_[canonical_.back()->hash] = canonical_.back();
  return canonical_.back();
}

void Chain::reorg(std::uint64_t depth) {
  depth = std::min(depth, head()->header.number);
  canonical_.resize(canonical_.size() - depth);
  set_labels(safe_, finalized_);
  ++branch_;
  for (std::uint64_t i = 0; i <= depth; ++i) append();
}

void Chain::set_labels(std::uint64_t safe, std::uint64_t finalized) {
  safe_ = std::min(safe, head()->header.number);
  finalized_ = std::min(finalized, safe_);
}

BlockPtr Chain::by_number(std::uint64_t number) const {
  return number < canonical_.size() ? canonical_[number] : nullptr;
}

BlockPtr Chain::by_hash(const Hash32& hash) const {
  const auto it = blocks_.find(hash);
  return it == blocks_.end() ? nullptr : it->second;
}

std::string Chain::rollup_json() const {
  std::string forks;
  for (const char* fork :
       {"regolith", "canyon", "delta", "ecotone", "fjord", "granite", "holocene", "isthmus", "jovian"}) {
    absl::StrAppend(&forks, ",\n  \"", fork, "_time\": 0");
  }
  return absl::StrCat("{\n  \"genesis\": {\"l1\": {\"hash\": \"", to_hex(l1_block(kFirstL1Block).hash.view()),
                      "\", \"number\": ", kFirstL1Block, "}, \"l2\": {\"hash\": \"", to_hex(canonical_[0]->hash.view()),
                      "\", \"number\": 0}, \"l2_time\": ", options_.genesis_time,
                      "},\n  \"block_time\": ", options_.block_time, ",\n  \"l1_chain_id\": ", kL1ChainId,
                      ",\n  \"l2_chain_id\": ", options_.chain_id, forks, "\n}\n");
}

}  // namespace towline::sim
