#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "libs/base/hex.hpp"
#include "libs/crypto/keccak.hpp"
#include "libs/eth/block_json.hpp"
#include "libs/eth/deposits.hpp"
#include "libs/eth/engine_json.hpp"
#include "libs/eth/header.hpp"
#include "libs/eth/payload.hpp"
#include "libs/eth/raw_block.hpp"
#include "libs/rlp/rlp.hpp"
#include "libs/trie/ordered_root.hpp"
#include "tests/support/sample_blocks.hpp"
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
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random{seed};
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

TEST(VerifyHeader, EachFieldIsPartOfTheHash) {
  const Vector v = load("devnet-forks-042-jovian.json");
  const auto changed = [&](auto change) {
    Header h = v.header;
    change(h);
    const auto st = verify_header(h, v.hash);
    return st.code() == absl::StatusCode::kDataLoss && std::string{st.message()}.starts_with("hash:");
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

// On L1 only so far: the readers of L1 headers must hash them.
TEST(Amsterdam, HeadersOnBothSidesOfTheForkVerify) {
  for (const char* name : {"l1-devnet-191-prague.json", "l1-devnet-192-amsterdam.json"}) {
    const Vector v = load(name);
    EXPECT_EQ(verify_header(v.header, v.hash), absl::OkStatus()) << name;
    const auto again = decode_header(encode_header(v.header));
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(*again, v.header);
  }
  const Vector v = load("l1-devnet-192-amsterdam.json");
  EXPECT_EQ(v.header.slot_number, 192U);
  Header h = v.header;
  h.slot_number.reset();
  EXPECT_EQ(verify_header(h, hash_header(h)).message(),
            "slotNumber: absent in block 192, which has blockAccessListHash");
  EXPECT_FALSE(decode_header(encode_header(h)).ok());
  h.block_access_list_hash.reset();
  EXPECT_EQ(verify_header(h, hash_header(h)), absl::OkStatus());
  h.slot_number = 192;
  EXPECT_FALSE(verify_header(h, hash_header(h)).ok());
}

TEST(Amsterdam, ASlotBesideAHeaderWithoutAccessListIsNoPartOfIt) {
  auto doc = nlohmann::json::parse(towline::testing::read_vector("devnet-forks-042-jovian.json"));
  auto header = doc.at("header");
  header["hash"] = doc.at("hash");
  header["slotNumber"] = "0x7";
  simdjson::dom::parser parser;
  const auto parsed = header_from_json(parser.parse(header.dump()).value());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(verify_header(parsed->header, parsed->claimed_hash), absl::OkStatus());
}

TEST(Amsterdam, ThePayloadCarriesTheListThatTheHeaderHashes) {
  Vector v = load("l1-devnet-192-amsterdam.json");
  v.header.block_access_list_hash = keccak256(Bytes{0xc0});
  Payload p = make_payload(v.header, hash_header(v.header), {});
  p.block_access_list = Bytes{0xc0};
  EXPECT_EQ(hash_of(p), p.block_hash);
  EXPECT_EQ(new_payload_version_by_shape(p), 5);
  std::string params;
  append_new_payload_params(p, 5, params);
  const auto doc = nlohmann::json::parse(params);
  ASSERT_EQ(doc.size(), 4U);
  EXPECT_EQ(doc[0].at("blockAccessList"), "0xc0");
  EXPECT_EQ(doc[0].at("slotNumber"), "0xc0");
}

// Our parameters, parsed back, must equal those of the file.
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

TEST(EngineJson, ForkchoiceParams) {
  Hash32 head;
  head.bytes[31] = 1;
  std::string out = "x";
  append_forkchoice_params(head, Hash32{}, head, out);
  ASSERT_EQ(out[0], 'x');
  const auto doc = nlohmann::json::parse(out.substr(1));
  ASSERT_EQ(doc.size(), 2U);
  EXPECT_TRUE(doc[1].is_null());
  EXPECT_EQ(doc[0].size(), 3U);
  EXPECT_EQ(doc[0].at("headBlockHash"), to_hex(head.view()));
  EXPECT_EQ(doc[0].at("safeBlockHash"), "0x" + std::string(64, '0'));
  EXPECT_EQ(doc[0].at("finalizedBlockHash"), to_hex(head.view()));
}

// An activation block still has the layout of the fork before.
TEST(Deposits, LayoutOfEachFork) {
  const std::map<std::string, L1InfoLayout> expected = {
      {"devnet-forks-001-regolith.json", L1InfoLayout::bedrock},
      {"devnet-forks-012-delta.json", L1InfoLayout::bedrock},
      {"devnet-forks-015-ecotone-activation.json", L1InfoLayout::bedrock},
      {"devnet-forks-017-ecotone.json", L1InfoLayout::ecotone},
      {"op-sepolia-26207960.json", L1InfoLayout::ecotone},
      {"devnet-forks-035-isthmus-activation.json", L1InfoLayout::ecotone},
      {"devnet-forks-040-jovian-activation.json", L1InfoLayout::isthmus},
      {"devnet-forks-042-jovian.json", L1InfoLayout::jovian},
  };
  for (const auto& [file, layout] : expected) {
    const auto info = decode_l1_info(load(file).transactions[0]);
    ASSERT_TRUE(info.ok()) << file;
    EXPECT_STREQ(name(info->layout), name(layout)) << file;
  }
  const auto info = decode_l1_info(load("devnet-forks-042-jovian.json").transactions[0]);
  EXPECT_EQ(info->origin.number, 38U);
  EXPECT_EQ(to_hex(info->origin.hash.view()), "0x1f842920e303092f5649d35e3973a95031be41f31b39a6442801295a78682929");
  EXPECT_EQ(info->origin_time, 0x6b032f3eU);
  EXPECT_EQ(info->sequence_number, 0U);
}

// Real transactions of L1 and L2 (types 0, 2, 3, 7e).
TEST(TransactionJson, EveryRealTransactionReencodesToItsBytes) {
  std::vector<Bytes> all;
  for (const auto& name : towline::testing::block_vectors()) {
    for (const Bytes& raw : load(name).transactions) all.push_back(raw);
  }
  for (const auto& name : towline::testing::l1_vectors()) {
    const auto doc = nlohmann::json::parse(towline::testing::read_vector(name));
    for (const auto& tx : doc.at("newPayload").at("payload").at("transactions"))
      all.push_back(*parse_hex(tx.get<std::string>()));
  }
  std::map<int, int> seen;
  simdjson::dom::parser parser;
  for (const Bytes& raw : all) {
    const std::string text = towline::testing::transaction_json(raw);
    auto again = transaction_from_json(parser.parse(text).value());
    ASSERT_TRUE(again.ok()) << again.status() << ' ' << text;
    ASSERT_EQ(*again, raw);
    ++seen[towline::testing::type_of(raw)];
  }
  for (int type : {0x00, 0x02, 0x03, 0x7e}) EXPECT_GT(seen[type], 0) << type;
}

TEST(TransactionJson, RandomTransactionsOfEveryTypeReencode) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  towline::testing::Random random{seed};
  simdjson::dom::parser parser;
  for (int i = 0; i < 200; ++i) {
    for (const std::uint8_t type : towline::testing::kTransactionTypes) {
      const Bytes raw = towline::testing::random_transaction(random, type, random() % 200);
      std::string text = towline::testing::transaction_json(raw);
      auto again = transaction_from_json(parser.parse(text).value());
      ASSERT_TRUE(again.ok()) << again.status() << ' ' << text;
      ASSERT_EQ(*again, raw) << text;
      // The same object with another claimed hash is a lie.
      auto lie = nlohmann::json::parse(text);
      lie["hash"] = to_hex(Hash32{}.view());
      text = lie.dump();
      ASSERT_EQ(transaction_from_json(parser.parse(text).value()).status().code(), absl::StatusCode::kDataLoss);
    }
  }
}

// Differences between sources: padded and plain numbers, `data` for `input`, no yParity, no empty access list, null
// fields.
TEST(TransactionJson, SourcesMayWriteItInOtherWays) {
  towline::testing::Random random{7};
  simdjson::dom::parser parser;
  for (int i = 0; i < 50; ++i) {
    const Bytes raw = towline::testing::random_transaction(random, 0x02, 30);
    auto tx = nlohmann::json::parse(towline::testing::transaction_json(raw));
    tx["data"] = tx["input"];
    tx.erase("input");
    tx.erase("yParity");
    if (tx["accessList"].empty()) tx.erase("accessList");
    if (tx["to"].is_null()) tx.erase("to");
    tx["nonce"] = "0x000" + tx["nonce"].get<std::string>().substr(2);
    tx["type"] = 2;
    const std::string text = tx.dump();
    auto again = transaction_from_json(parser.parse(text).value());
    ASSERT_TRUE(again.ok()) << again.status() << ' ' << text;
    ASSERT_EQ(*again, raw);
  }
}

TEST(TransactionJson, MissingOrMalformedFieldsAreNamed) {
  towline::testing::Random random{8};
  simdjson::dom::parser parser;
  const Bytes raw = towline::testing::random_transaction(random, 0x02, 30);
  const auto good = nlohmann::json::parse(towline::testing::transaction_json(raw));
  for (const char* field :
       {"hash", "chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas", "value", "input", "r", "s"}) {
    for (const nlohmann::json& value : {nlohmann::json{}, nlohmann::json{"0xzz"}, nlohmann::json{"12"},
                                        nlohmann::json(true), nlohmann::json::array()}) {
      auto tx = good;
      tx[field] = value;
      const std::string text = tx.dump();
      const auto st = transaction_from_json(parser.parse(text).value()).status();
      EXPECT_EQ(st.code(), absl::StatusCode::kInvalidArgument) << field << ' ' << value;
      EXPECT_TRUE(std::string{st.message()}.starts_with(field)) << st << ' ' << value;
    }
  }
}

TEST(TransactionJson, UnknownTypeAsksForTheRawOne) {
  simdjson::dom::parser parser;
  const std::string text = R"({"type":"0x7b","hash":"0x00"})";
  EXPECT_EQ(transaction_from_json(parser.parse(text).value()).status().code(), absl::StatusCode::kUnimplemented);
}

TEST(BlockJson, WholeBlockReadsAndVerifies) {
  const auto block = towline::testing::sample_block(3, 40, 100);
  const std::string text = towline::testing::block_json(block.header, block.hash, block.transactions);
  simdjson::dom::parser parser;
  const auto element = parser.parse(text).value();
  auto header = header_from_json(element);
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->header, block.header);
  EXPECT_EQ(header->claimed_hash, block.hash);
  EXPECT_EQ(verify_header(header->header, block.hash), absl::OkStatus());
  EXPECT_EQ(*transactions_from_json(element), block.transactions);
  EXPECT_EQ(*verified_transactions_from_json(element, block.header), block.transactions);
}

absl::Status body_status(const nlohmann::json& block, const Header& header) {
  simdjson::dom::parser parser;
  const std::string text = block.dump();
  return verified_transactions_from_json(parser.parse(text).value(), header).status();
}

TEST(BlockJson, LiesInTheBodyAreNamed) {
  const auto block = towline::testing::sample_block(3, 5, 100);
  const auto good = nlohmann::json::parse(towline::testing::block_json(block.header, block.hash, block.transactions));
  ASSERT_EQ(body_status(good, block.header), absl::OkStatus());
  const auto expect = [&](absl::StatusCode code, const char* start, auto change) {
    auto bad = good;
    change(bad);
    const auto st = body_status(bad, block.header);
    EXPECT_EQ(st.code(), code) << st;
    EXPECT_TRUE(std::string{st.message()}.starts_with(start)) << st;
  };
  expect(absl::StatusCode::kDataLoss, "transactions[3].hash",
         [](auto& b) { b["transactions"][3]["value"] = "0x1234567"; });
  expect(absl::StatusCode::kDataLoss, "transactionsRoot", [](auto& b) { b["transactions"].erase(2); });
  expect(absl::StatusCode::kDataLoss, "transactionsRoot",
         [](auto& b) { std::swap(b["transactions"][0], b["transactions"][1]); });
  expect(absl::StatusCode::kDataLoss, "withdrawals",
         [](auto& b) { b["withdrawals"].push_back(nlohmann::json::object()); });
  expect(absl::StatusCode::kInvalidArgument, "transactions[1]: ", [](auto& b) { b["transactions"][1] = nullptr; });
  expect(absl::StatusCode::kInvalidArgument,
         "transactions[0]: ", [](auto& b) { b["transactions"][0] = b["transactions"][0]["hash"]; });
  expect(absl::StatusCode::kInvalidArgument, "transactions:", [](auto& b) { b.erase("transactions"); });
  expect(absl::StatusCode::kUnimplemented, "transactions[4].type",
         [](auto& b) { b["transactions"][4]["type"] = "0x7b"; });
}

TEST(BlockJson, MissingOrMalformedHeaderFieldsAreNamed) {
  const auto block = towline::testing::sample_block(4, 0, 0);
  const auto good = nlohmann::json::parse("{" + towline::testing::header_fields_json(block.header, block.hash) + "}");
  simdjson::dom::parser parser;
  for (const auto& [field, value] : good.items()) {
    for (const nlohmann::json& wrong : {nlohmann::json{"0xz"}, nlohmann::json(true), nlohmann::json::object()}) {
      auto bad = good;
      bad[field] = wrong;
      const std::string text = bad.dump();
      const auto st = header_from_json(parser.parse(text).value()).status();
      EXPECT_EQ(st.code(), absl::StatusCode::kInvalidArgument) << field << ' ' << wrong;
      EXPECT_TRUE(std::string{st.message()}.starts_with(field)) << st;
    }
    // A missing field is named, or (for fields of later forks) the header no longer verifies.
    auto bad = good;
    bad.erase(field);
    const std::string text = bad.dump();
    auto header = header_from_json(parser.parse(text).value());
    EXPECT_FALSE(header.ok() && verify_header(header->header, block.hash).ok()) << field;
  }
  EXPECT_FALSE(header_from_json(parser.parse(std::string_view{"[]"}).value()).ok());
  EXPECT_FALSE(header_from_json(parser.parse(std::string_view{"null"}).value()).ok());
}

TEST(RawBlock, RefusesWhatIsNotABlock) {
  const auto block = towline::testing::sample_block(5, 3, 20);
  const Bytes good = encode_raw_block(block.header, block.transactions);
  ASSERT_TRUE(decode_raw_block(good).ok());
  for (std::size_t cut = 0; cut < good.size(); ++cut)
    ASSERT_FALSE(decode_raw_block(BytesView{good}.first(cut)).ok()) << cut;
  Bytes longer = good;
  longer.push_back(0x80);
  EXPECT_FALSE(decode_raw_block(longer).ok());
  // A legacy transaction inside a string would be a second encoding.
  Bytes wrapped = encode_header(block.header);
  Bytes txs;
  towline::testing::Random random{1};
  rlp::append_string(towline::testing::random_transaction(random, 0, 20), txs);
  rlp::append_list(txs, wrapped);
  rlp::append_list({}, wrapped);
  rlp::append_list({}, wrapped);
  Bytes wrapped_block;
  rlp::append_list(wrapped, wrapped_block);
  EXPECT_FALSE(decode_raw_block(wrapped_block).ok());
  // An uncle, or a withdrawal: neither exists on an OP Stack chain.
  Bytes body = encode_header(block.header);
  rlp::append_list({}, body);
  rlp::append_list({}, body);
  const std::size_t before_withdrawals = body.size();
  rlp::append_list(Bytes{0x01}, body);
  Bytes withdrawal;
  rlp::append_list(body, withdrawal);
  EXPECT_FALSE(decode_raw_block(withdrawal).ok());
  body.resize(before_withdrawals - 1);
  rlp::append_list(Bytes{0x01}, body);
  Bytes uncle;
  rlp::append_list(body, uncle);
  EXPECT_FALSE(decode_raw_block(uncle).ok());
}

TEST(Deposits, EveryPrefixOfARealOneIsRefused) {
  const Bytes raw = load("devnet-forks-042-jovian.json").transactions[0];
  ASSERT_TRUE(decode_l1_info(raw).ok());
  for (std::size_t cut = 0; cut < raw.size(); ++cut)
    ASSERT_FALSE(decode_l1_info(BytesView{raw}.first(cut)).ok()) << cut;
  EXPECT_FALSE(decode_deposit(load("devnet-forks-042-jovian.json").transactions[1]).ok());
}

/// The L1-info deposit of the Jovian vector with its parts replaced.
Bytes l1_info_deposit(const Deposit& d) {
  Bytes p;
  rlp::append_string(d.source_hash.view(), p);
  rlp::append_string(d.from.view(), p);
  rlp::append_string(d.to->view(), p);
  rlp::append_u256(d.mint, p);
  rlp::append_u256(d.value, p);
  rlp::append_u64(d.gas, p);
  rlp::append_u64(d.is_system ? 1 : 0, p);
  rlp::append_string(d.data, p);
  Bytes out{0x7e};
  rlp::append_list(p, out);
  return out;
}

TEST(Deposits, L1InfoIsCheckedAgainstItsSourceHash) {
  const Deposit good = *decode_deposit(load("devnet-forks-042-jovian.json").transactions[0]);
  EXPECT_EQ(decode_l1_info(l1_info_deposit(good))->layout, L1InfoLayout::jovian);
  Deposit d = good;
  d.data[100] ^= 1;  // L1 hash
  EXPECT_EQ(decode_l1_info(l1_info_deposit(d)).status().code(), absl::StatusCode::kDataLoss);
  d = good;
  d.data[19] ^= 1;  // sequence number
  EXPECT_EQ(decode_l1_info(l1_info_deposit(d)).status().code(), absl::StatusCode::kDataLoss);
  d = good;
  d.from.bytes[0] ^= 1;
  EXPECT_EQ(decode_l1_info(l1_info_deposit(d)).status().code(), absl::StatusCode::kInvalidArgument);
  d = good;
  d.data.push_back(0);  // a known selector with another length
  EXPECT_EQ(decode_l1_info(l1_info_deposit(d)).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Deposits, ANewerLayoutIsReadAndFlagged) {
  const Deposit good = *decode_deposit(load("devnet-forks-042-jovian.json").transactions[0]);
  Deposit d = good;
  d.data[0] ^= 0xff;
  d.data.resize(d.data.size() + 8);
  const L1Info known = *decode_l1_info(l1_info_deposit(good));
  auto info = decode_l1_info(l1_info_deposit(d));
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->layout, L1InfoLayout::unknown);
  EXPECT_EQ(info->origin, known.origin);
  EXPECT_EQ(info->sequence_number, known.sequence_number);
}

TEST(VerifyHeader, RulesOfOpStackBlocksAreNamed) {
  const auto block = towline::testing::sample_block(6, 1, 1);
  const auto expect = [&](const char* field, auto change) {
    Header h = block.header;
    change(h);
    const auto st = verify_header(h, hash_header(h));
    EXPECT_EQ(st.code(), absl::StatusCode::kDataLoss) << field;
    EXPECT_TRUE(std::string{st.message()}.starts_with(field)) << st;
  };
  expect("sha3Uncles", [](Header& h) { h.sha3_uncles.bytes[0] ^= 1; });
  expect("difficulty", [](Header& h) { h.difficulty.bytes[31] = 1; });
  expect("nonce", [](Header& h) { h.nonce.bytes[0] = 1; });
  expect("extraData", [](Header& h) { h.extra_data.resize(33); });
  expect("baseFeePerGas", [](Header& h) { h.base_fee_per_gas.reset(); });
  expect("requestsHash", [](Header& h) { h.requests_hash->bytes[0] ^= 1; });
  expect("withdrawalsRoot", [](Header& h) { h.requests_hash.reset(); });
  expect("parentBeaconBlockRoot", [](Header& h) {
    h.parent_beacon_block_root.reset();
    h.requests_hash.reset();
    h.withdrawals_root = trie::kEmptyRoot;
  });
  // A gap would shift the encoding: a Canyon header whose withdrawals root is passed off as something else has the
  // right hash.
  Header canyon = block.header;
  canyon.withdrawals_root = trie::kEmptyRoot;
  canyon.blob_gas_used.reset();
  canyon.excess_blob_gas.reset();
  canyon.parent_beacon_block_root.reset();
  canyon.requests_hash.reset();
  Header shifted = canyon;
  std::swap(shifted.withdrawals_root, shifted.parent_beacon_block_root);
  ASSERT_EQ(hash_header(shifted), hash_header(canyon));
  EXPECT_EQ(verify_header(canyon, hash_header(canyon)), absl::OkStatus());
  EXPECT_FALSE(verify_header(shifted, hash_header(canyon)).ok());
}

}  // namespace
}  // namespace towline::eth
