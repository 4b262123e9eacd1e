#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "libs/base/hex.hpp"
#include "libs/crypto/keccak.hpp"
#include "libs/eth/block_json.hpp"
#include "libs/eth/engine_json.hpp"
#include "libs/eth/header.hpp"
#include "libs/eth/deposits.hpp"
#include "libs/eth/payload.hpp"
#include "libs/eth/raw_block.hpp"
#include "libs/rlp/rlp.hpp"
#include "libs/trie/ordered_root.hpp"
#include "tests/support/vectors.hpp"

namespace towline::eth {
namespace {

struct Vector {
  std::string name;
  Hash32 hash;
  Header header;
  std::vector<Bytes> transactions;
};

Vector load(const std::string& name) {
  const auto doc = nlohmann::json::parse(towline::testing::read_vector(name));
  auto header_json = doc.at("header");
  header_json["hash"] = doc.at("hash");
  simdjson::dom::parser parser;
  const std::string text = header_json.dump();
  auto parsed = header_from_json(parser.parse(text).value());
  EXPECT_TRUE(parsed.ok()) << name << ": " << parsed.status();
  Vector v{name, parsed->claimed_hash, parsed->header, {}};
  for (const auto& tx : doc.at("raw_transactions")) v.transactions.push_back(*parse_hex(tx.get<std::string>()));
  return v;
}

class Blocks : public ::testing::TestWithParam<std::string> {};

TEST_P(Blocks, HeaderAndBodyVerify) {
  const Vector v = load(GetParam());
  EXPECT_EQ(verify_header(v.header, v.hash), absl::OkStatus());
  EXPECT_EQ(verify_body(v.header, v.transactions), absl::OkStatus());
}

TEST_P(Blocks, HeaderSurvivesRlp) {
  const Vector v = load(GetParam());
  const Bytes rlp = encode_header(v.header);
  auto again = decode_header(rlp);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, v.header);
  for (std::size_t cut = 0; cut < rlp.size(); ++cut) EXPECT_FALSE(decode_header(BytesView{rlp}.first(cut)).ok()) << cut;
}

TEST_P(Blocks, PayloadStandsForTheSameBlock) {
  const Vector v = load(GetParam());
  const Payload p = make_payload(v.header, v.hash, v.transactions);
  EXPECT_EQ(hash_of(p), v.hash);
}

TEST_P(Blocks, AnyFlippedTransactionByteIsCaught) {
  Vector v = load(GetParam());
  std::mt19937 random{42};
  for (int i = 0; i < 20; ++i) {
    auto& tx = v.transactions[random() % v.transactions.size()];
    auto& byte = tx[random() % tx.size()];
    byte ^= 1U;
    EXPECT_EQ(verify_body(v.header, v.transactions).code(), absl::StatusCode::kDataLoss);
    byte ^= 1U;
  }
}

TEST_P(Blocks, L1InfoIsRead) {
  const Vector v = load(GetParam());
  auto info = decode_l1_info(v.transactions[0]);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_NE(info->layout, L1InfoLayout::unknown);
  EXPECT_LE(info->origin_time, v.header.timestamp);
}

TEST_P(Blocks, RawBlockRoundTrip) {
  const Vector v = load(GetParam());
  const Bytes block = encode_raw_block(v.header, v.transactions);
  auto raw = decode_raw_block(block);
  ASSERT_TRUE(raw.ok()) << raw.status();
  EXPECT_EQ(raw->header, v.header);
  EXPECT_EQ(raw->transactions, v.transactions);
}

std::string name_of(const ::testing::TestParamInfo<std::string>& info) {
  std::string out = info.param.substr(0, info.param.size() - 5);
  for (char& c : out) {
    if (c == '-') c = '_';
  }
  return out;
}
INSTANTIATE_TEST_SUITE_P(Real, Blocks, ::testing::ValuesIn(towline::testing::block_vectors()), name_of);

TEST(Header, EachFieldIsPartOfTheHash) {
  const Vector v = load("devnet-forks-042-jovian.json");
  const auto changed = [&](auto change) {
    Header h = v.header;
    change(h);
    return hash_header(h) != v.hash;
  };
  EXPECT_TRUE(changed([](Header& h) { h.parent_hash.bytes[0] ^= 1; }));
  EXPECT_TRUE(changed([](Header& h) { h.sha3_uncles.bytes[0] ^= 1; }));
  EXPECT_TRUE(changed([](Header& h) { h.miner.bytes[0] ^= 1; }));
  EXPECT_TRUE(changed([](Header& h) { h.state_root.bytes[0] ^= 1; }));
  EXPECT_TRUE(changed([](Header& h) { h.transactions_root.bytes[0] ^= 1; }));
  EXPECT_TRUE(changed([](Header& h) { h.receipts_root.bytes[0] ^= 1; }));
  EXPECT_TRUE(changed([](Header& h) { h.logs_bloom.bytes[0] ^= 1; }));
  EXPECT_TRUE(changed([](Header& h) { h.difficulty.bytes[31] ^= 1; }));
  EXPECT_TRUE(changed([](Header& h) { ++h.number; }));
  EXPECT_TRUE(changed([](Header& h) { ++h.gas_limit; }));
  EXPECT_TRUE(changed([](Header& h) { ++h.gas_used; }));
  EXPECT_TRUE(changed([](Header& h) { ++h.timestamp; }));
  EXPECT_TRUE(changed([](Header& h) { h.extra_data.push_back(1); }));
  EXPECT_TRUE(changed([](Header& h) { h.mix_hash.bytes[0] ^= 1; }));
  EXPECT_TRUE(changed([](Header& h) { h.nonce.bytes[0] ^= 1; }));
  EXPECT_TRUE(changed([](Header& h) { h.base_fee_per_gas->bytes[31] ^= 1; }));
  EXPECT_TRUE(changed([](Header& h) { h.withdrawals_root->bytes[0] ^= 1; }));
  EXPECT_TRUE(changed([](Header& h) { ++*h.blob_gas_used; }));
  EXPECT_TRUE(changed([](Header& h) { ++*h.excess_blob_gas; }));
  EXPECT_TRUE(changed([](Header& h) { h.parent_beacon_block_root->bytes[0] ^= 1; }));
  EXPECT_TRUE(changed([](Header& h) { h.requests_hash->bytes[0] ^= 1; }));
}

// Real L1 newPayload bodies: our params, parsed back, must say what the file says.
TEST(EngineJson, SaysWhatTheVectorSays) {
  for (const char* name : {"devnet-forks-001-regolith.json", "devnet-forks-005-canyon-activation.json",
                           "devnet-forks-017-ecotone.json", "devnet-forks-042-jovian.json"}) {
    const Vector v = load(name);
    const Payload p = make_payload(v.header, v.hash, v.transactions);
    const int version = new_payload_version_by_shape(p);
    std::string params;
    append_new_payload_params(p, version, params);
    const auto doc = nlohmann::json::parse(params);
    ASSERT_EQ(doc.size(), version == 4 ? 4U : version == 3 ? 3U : 1U) << name;
    const auto file = nlohmann::json::parse(towline::testing::read_vector(name));
    EXPECT_EQ(doc[0].at("transactions"), file.at("raw_transactions"));
    EXPECT_EQ(doc[0].at("blockHash"), file.at("hash"));
    EXPECT_EQ(doc[0].at("blockNumber"), file.at("header").at("number"));
    EXPECT_EQ(doc[0].at("baseFeePerGas"), file.at("header").at("baseFeePerGas"));
    EXPECT_EQ(doc[0].at("extraData"), file.at("header").at("extraData"));
    EXPECT_EQ(doc[0].contains("withdrawals"), file.at("header").contains("withdrawalsRoot"));
    EXPECT_EQ(doc[0].contains("blobGasUsed"), file.at("header").contains("blobGasUsed"));
    EXPECT_EQ(doc[0].contains("withdrawalsRoot"), version == 4);
    if (version >= 3) {
      EXPECT_EQ(doc[2], file.at("header").at("parentBeaconBlockRoot"));
    }
  }
}

TEST(OrderedRoot, EmptyListHasTheEmptyRoot) {
  EXPECT_EQ(trie::ordered_root({}), trie::kEmptyRoot);
  Bytes empty_string;
  rlp::append_string({}, empty_string);
  EXPECT_EQ(keccak256(empty_string), trie::kEmptyRoot);
}

// JSON objects of each transaction type, made from raw ones by a decoder that knows nothing of the encoder under test.
nlohmann::json legacy_json(const Bytes& raw) {
  rlp::Reader outer{raw};
  rlp::Reader r = *outer.list();
  nlohmann::json tx;
  tx["type"] = "0x0";
  tx["hash"] = to_hex(keccak256(raw).view());
  tx["nonce"] = to_quantity(*r.u256());
  tx["gasPrice"] = to_quantity(*r.u256());
  tx["gas"] = to_quantity(*r.u256());
  const auto to = *r.string();
  if (!to.empty()) tx["to"] = to_hex(to);
  tx["value"] = to_quantity(*r.u256());
  tx["input"] = to_hex(*r.string());
  tx["v"] = to_quantity(*r.u256());
  tx["r"] = to_quantity(*r.u256());
  tx["s"] = to_quantity(*r.u256());
  return tx;
}

nlohmann::json fee_market_json(const Bytes& raw) {
  rlp::Reader outer{BytesView{raw}.subspan(1)};
  rlp::Reader r = *outer.list();
  nlohmann::json tx;
  tx["type"] = "0x2";
  tx["hash"] = to_hex(keccak256(raw).view());
  for (const char* key : {"chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas"}) tx[key] = to_quantity(*r.u256());
  const auto to = *r.string();
  tx["to"] = to.empty() ? nlohmann::json{} : nlohmann::json(to_hex(to));
  tx["value"] = to_quantity(*r.u256());
  tx["input"] = to_hex(*r.string());
  tx["accessList"] = nlohmann::json::array();
  auto list = *r.list();
  while (!list.empty()) {
    auto entry = *list.list();
    nlohmann::json e;
    e["address"] = to_hex(*entry.string());
    e["storageKeys"] = nlohmann::json::array();
    auto keys = *entry.list();
    while (!keys.empty()) e["storageKeys"].push_back(to_hex(*keys.string()));
    tx["accessList"].push_back(e);
  }
  tx["yParity"] = to_quantity(*r.u256());
  tx["r"] = to_quantity(*r.u256());
  tx["s"] = to_quantity(*r.u256());
  return tx;
}

nlohmann::json deposit_json(const Bytes& raw) {
  const Deposit d = *decode_deposit(raw);
  nlohmann::json tx;
  tx["type"] = "0x7e";
  tx["hash"] = to_hex(keccak256(raw).view());
  tx["sourceHash"] = to_hex(d.source_hash.view());
  tx["from"] = to_hex(d.from.view());
  tx["to"] = d.to ? nlohmann::json(to_hex(d.to->view())) : nlohmann::json{};
  if (!d.mint.is_zero()) tx["mint"] = to_quantity(d.mint);
  tx["value"] = to_quantity(d.value);
  tx["gas"] = to_quantity(d.gas);
  if (d.is_system) tx["isSystemTx"] = true;
  tx["input"] = to_hex(d.data);
  tx["nonce"] = "0x7";
  tx["v"] = tx["r"] = tx["s"] = "0x0";
  return tx;
}

TEST(TransactionJson, EveryRealTransactionReencodesToItsBytes) {
  std::size_t seen[3] = {0, 0, 0};
  for (const auto& name : towline::testing::block_vectors()) {
    for (const Bytes& raw : load(name).transactions) {
      nlohmann::json tx;
      if (raw[0] >= 0xc0) {
        tx = legacy_json(raw);
        ++seen[0];
      } else if (raw[0] == 0x02) {
        tx = fee_market_json(raw);
        ++seen[1];
      } else {
        ASSERT_EQ(raw[0], 0x7e);
        tx = deposit_json(raw);
        ++seen[2];
      }
      simdjson::dom::parser parser;
      const std::string text = tx.dump();
      auto again = transaction_from_json(parser.parse(text).value());
      ASSERT_TRUE(again.ok()) << name << ' ' << again.status() << ' ' << text;
      EXPECT_EQ(*again, raw);
      // The same object with another claimed hash is a lie.
      tx["hash"] = to_hex(Hash32{}.view());
      const std::string lie = tx.dump();
      EXPECT_EQ(transaction_from_json(parser.parse(lie).value()).status().code(), absl::StatusCode::kDataLoss);
    }
  }
  for (auto n : seen) EXPECT_GT(n, 0U);
}

TEST(TransactionJson, UnknownTypeAsksForTheRawOne) {
  simdjson::dom::parser parser;
  const std::string text = R"({"type":"0x7b","hash":"0x00"})";
  EXPECT_EQ(transaction_from_json(parser.parse(text).value()).status().code(), absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace towline::eth
