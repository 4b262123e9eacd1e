#include "tools/towline/inspect/inspect.hpp"
#include "tools/towline/inspect/read_block.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "libs/base/hex.hpp"
#include "tests/support/sample_blocks.hpp"
#include "tests/support/vectors.hpp"

namespace towline::inspect {
namespace {

using nlohmann::json;
using towline::testing::read_vector;

/// The rollup config that belongs to a vector.
std::optional<rollup::Config> config_for(const std::string& file) {
  const auto named = rollup_config_of(read_vector(file));
  return *rollup::parse_config(read_vector(named.value_or("op-sepolia-rollup.json")));
}

class BlockFiles : public ::testing::TestWithParam<std::string> {};

TEST_P(BlockFiles, AreValidWithAndWithoutAConfig) {
  const std::string text = read_vector(GetParam());
  for (const auto& config : {std::optional<rollup::Config>{}, config_for(GetParam())}) {
    const InspectReport r = inspect_block(text, config);
    EXPECT_TRUE(r.valid) << to_text(r);
    EXPECT_EQ(r.kind, "block file");
    EXPECT_EQ(to_hex(r.block.hash.view()), json::parse(text).at("hash"));
    ASSERT_TRUE(r.l1_origin.has_value());
    EXPECT_FALSE(r.l1_origin->hash.is_zero());
    if (config) {
      // The file of an activation block has the name of the fork in it.
      EXPECT_NE((GetParam() + "op-sepolia-holocene").find(r.fork), std::string::npos) << r.fork;
    }
  }
}

TEST_P(BlockFiles, AnyChangeOfAHeaderFieldOrTransactionIsNamed) {
  const json good = json::parse(read_vector(GetParam()));
  const auto config = config_for(GetParam());
  for (const auto& [key, value] : good.at("header").items()) {
    json bad = good;
    std::string digits = value.get<std::string>();
    if (digits == "0x") digits = "0x0";
    digits.back() = digits.back() == '1' ? '2' : '1';
    if (key == "extraData") digits += digits.size() % 2 == 0 ? "" : "1";
    bad["header"][key] = digits;
    const InspectReport r = inspect_block(bad.dump(), config);
    EXPECT_FALSE(r.valid) << key;
    EXPECT_TRUE(r.field == "hash" || r.field == key) << key << ": " << to_text(r);
    // If the correct value is known, the field itself is named.
    for (const char* known :
         {"transactionsRoot", "sha3Uncles", "difficulty", "nonce", "excessBlobGas", "requestsHash"}) {
      if (key == known) {
        EXPECT_EQ(r.field, known) << to_text(r);
      }
    }
    bad["header"][key] = "0xnothex";
    EXPECT_EQ(inspect_block(bad.dump(), config).field, key);
    bad["header"].erase(key);
    const InspectReport without = inspect_block(bad.dump(), config);
    EXPECT_FALSE(without.valid) << key;
  }
  json bad = good;
  bad["hash"] = "0x" + std::string(64, '1');
  EXPECT_EQ(inspect_block(bad.dump(), config).field, "hash");
  bad = good;
  std::string tx = bad["raw_transactions"].back();
  tx.back() = tx.back() == '1' ? '2' : '1';
  bad["raw_transactions"].back() = tx;
  EXPECT_EQ(inspect_block(bad.dump(), config).field, "transactionsRoot");
  bad["raw_transactions"].erase(bad["raw_transactions"].size() - 1);
  EXPECT_EQ(inspect_block(bad.dump(), config).field, "transactionsRoot");
}

std::string name_of(const ::testing::TestParamInfo<std::string>& info) {
  std::string out = info.param.substr(0, info.param.size() - 5);
  for (char& c : out) {
    if (c == '-') c = '_';
  }
  return out;
}
INSTANTIATE_TEST_SUITE_P(Real, BlockFiles, ::testing::ValuesIn(towline::testing::block_vectors()), name_of);

TEST(Inspect, NamesForkMethodOriginAndSequence) {
  const auto config = config_for("devnet-forks-042-jovian.json");
  const InspectReport r = inspect_block(read_vector("devnet-forks-042-jovian.json"), config);
  EXPECT_EQ(r.block.number, 42U);
  EXPECT_EQ(r.fork, "jovian");
  EXPECT_EQ(r.engine_method, "engine_newPayloadV4");
  EXPECT_EQ(r.l1_origin->number, 38U);
  EXPECT_EQ(r.sequence_number, 0U);
  EXPECT_EQ(r.l1_info_layout, "jovian");
  EXPECT_EQ(r.transactions_by_type.at(0x7e), 1U);
  EXPECT_EQ(r.transactions_by_type.at(0x02), 123U);
  EXPECT_EQ(inspect_block(read_vector("devnet-forks-017-ecotone.json"), config).engine_method, "engine_newPayloadV3");
  EXPECT_EQ(inspect_block(read_vector("devnet-forks-012-delta.json"), config).engine_method, "engine_newPayloadV2");
  EXPECT_EQ(inspect_block(read_vector("devnet-forks-042-jovian.json"), {}).fork, "jovian or later");
}

TEST(Inspect, AWrongConfigIsNoticed) {
  // A chain on which Isthmus has not come yet.
  auto config = config_for("devnet-forks-042-jovian.json");
  for (auto f : {rollup::Fork::isthmus, rollup::Fork::jovian}) config->fork_times[static_cast<std::size_t>(f)].reset();
  const InspectReport r = inspect_block(read_vector("devnet-forks-042-jovian.json"), config);
  EXPECT_FALSE(r.valid);
  EXPECT_EQ(r.field, "requestsHash");
}

TEST(Inspect, L1PayloadsAreValid) {
  for (const auto& name : towline::testing::l1_vectors()) {
    const std::string text = read_vector(name);
    const InspectReport r = inspect_block(text, {});
    EXPECT_TRUE(r.valid) << to_text(r);
    EXPECT_EQ(r.kind, "newPayload");
    EXPECT_EQ(r.fork, "L1 prague");
    EXPECT_EQ(r.engine_method, "engine_newPayloadV4");
    EXPECT_FALSE(r.l1_origin.has_value());
    // It is no block of an OP Stack chain.
    EXPECT_EQ(inspect_block(text, rollup::network("op-mainnet").value()).field, "transactions[0]");
    const json good = json::parse(text);
    for (const auto& [key, value] : good.at("newPayload").at("payload").items()) {
      json bad = good;
      json& v = bad["newPayload"]["payload"][key];
      if (value.is_string()) {
        std::string s = value;
        s.back() = s.back() == '1' ? '2' : '1';
        v = s;
      } else {
        v.erase(0);
      }
      const InspectReport lie = inspect_block(bad.dump(), {});
      EXPECT_FALSE(lie.valid) << key;
      EXPECT_FALSE(lie.field.empty()) << key;
    }
    json bad = good;
    bad["newPayload"]["sidecar"]["cancun"]["fields"]["versioned_hashes"].erase(0);
    EXPECT_EQ(inspect_block(bad.dump(), {}).field, "versioned_hashes");
    bad = good;
    bad["newPayload"]["sidecar"]["prague"]["fields"]["requests"].push_back("0x0011");
    EXPECT_FALSE(inspect_block(bad.dump(), {}).valid);
  }
}

/// The answer of eth_getBlockByNumber for a block file.
json eth_block(const std::string& file) {
  const json doc = json::parse(read_vector(file));
  json out = doc.at("header");
  out["hash"] = doc.at("hash");
  out["transactions"] = json::array();
  for (const auto& raw : doc.at("raw_transactions")) {
    out["transactions"].push_back(json::parse(towline::testing::transaction_json(*parse_hex(raw.get<std::string>()))));
  }
  return out;
}

TEST(Inspect, BlocksOfEthGetBlock) {
  for (const auto& file : towline::testing::block_vectors()) {
    const json block = eth_block(file);
    const InspectReport r = inspect_block(block.dump(), config_for(file));
    EXPECT_TRUE(r.valid) << file << '\n' << to_text(r);
    EXPECT_EQ(r.kind, "eth_getBlock");
    const json answer = {{"jsonrpc", "2.0"}, {"id", 1}, {"result", block}};
    EXPECT_TRUE(inspect_block(answer.dump(), config_for(file)).valid);
  }
  json bad = eth_block("op-sepolia-26207960.json");
  bad["transactions"][2]["value"] = "0x7";
  EXPECT_EQ(inspect_block(bad.dump(), {}).field, "transactions[2].hash");
  bad = eth_block("op-sepolia-26207960.json");
  bad["transactions"].erase(3);
  EXPECT_EQ(inspect_block(bad.dump(), {}).field, "transactionsRoot");
  for (auto& tx : bad["transactions"]) tx = tx["hash"];
  EXPECT_EQ(inspect_block(bad.dump(), {}).field, "transactions[0]");
}

TEST(Inspect, GenesisComesFromTheConfig) {
  auto block = towline::testing::sample_block(1, 0, 0);
  rollup::Config config = *rollup::network("op-mainnet");
  config.l2_genesis = {block.header.number, block.hash};
  const std::string text = towline::testing::block_json(block.header, block.hash, {});
  const InspectReport r = inspect_block(text, config);
  EXPECT_TRUE(r.valid) << to_text(r);
  EXPECT_EQ(*r.l1_origin, config.l1_genesis);
  EXPECT_EQ(r.l1_info_layout, "genesis");
  config.l2_genesis.hash.bytes[0] ^= 1;
  EXPECT_EQ(inspect_block(text, config).field, "hash");
  EXPECT_EQ(inspect_block(text, {}).field, "transactions[0]");
}

TEST(Inspect, AnythingElseIsRefusedAsInput) {
  for (const char* text :
       {"", "x", "<html>", "[]", "7", "null", "{}", R"({"hash":1})", R"({"jsonrpc":"2.0","id":1,"result":null})",
        R"({"jsonrpc":"2.0","error":{"code":-32000,"message":"no"}})"}) {
    const InspectReport r = inspect_block(text, {});
    EXPECT_FALSE(r.valid) << text;
    EXPECT_EQ(r.field, "input") << text;
    EXPECT_FALSE(r.reason.empty()) << text;
  }
  for (const char* text :
       {R"({"hash":"0x","header":[]})", R"({"hash":null,"header":{}})", R"({"newPayload":{}})", R"({"newPayload":7})",
        R"({"parentHash":1,"transactions":[]})", R"({"newPayload":{"payload":{"withdrawals":{}}}})"}) {
    const InspectReport r = inspect_block(text, {});
    EXPECT_FALSE(r.valid) << text;
    EXPECT_FALSE(r.field.empty()) << text;
  }
}

TEST(Inspect, DeepNestingIsRefused) {
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
  EXPECT_EQ(inspect_block(deep, {}).field, "input");
  EXPECT_EQ(inspect_block("{\"error\":" + deep + "}", {}).field, "input");
}

TEST(Inspect, TextAndJsonSayTheSame) {
  const auto config = config_for("devnet-forks-042-jovian.json");
  const InspectReport good = inspect_block(read_vector("devnet-forks-042-jovian.json"), config);
  EXPECT_TRUE(to_text(good).ends_with("\nVALID\n"));
  const json j = json::parse(to_json(good));
  EXPECT_EQ(j.at("valid"), true);
  EXPECT_FALSE(j.contains("field"));
  EXPECT_EQ(j.at("block").at("number"), 42);
  EXPECT_EQ(j.at("fork"), "jovian");
  EXPECT_EQ(j.at("engine_method"), "engine_newPayloadV4");
  EXPECT_EQ(j.at("l1_origin").at("number"), good.l1_origin->number);
  EXPECT_EQ(j.at("sequence_number"), good.sequence_number);
  json doc = json::parse(read_vector("devnet-forks-042-jovian.json"));
  doc["header"]["gasUsed"] = "0x1";
  const InspectReport bad = inspect_block(doc.dump(), config);
  EXPECT_NE(to_text(bad).find("\nINVALID hash: "), std::string::npos) << to_text(bad);
  EXPECT_EQ(json::parse(to_json(bad)).at("field"), "hash");
  EXPECT_EQ(json::parse(to_json(inspect_block("x", {}))).at("field"), "input");
}

TEST(Inspect, RollupConfigOfABlockFile) {
  EXPECT_EQ(rollup_config_of(read_vector("devnet-forks-042-jovian.json")), "devnet-forks-rollup.json");
  EXPECT_EQ(rollup_config_of(read_vector("op-sepolia-26207960.json")), std::nullopt);
  EXPECT_EQ(rollup_config_of("nonsense"), std::nullopt);
}

}  // namespace
}  // namespace towline::inspect
