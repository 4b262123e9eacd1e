// The signer from L1: a real client's header and proof, and what lying or lagging endpoints can do with them.
#include "services/p2p-gossip/core/l1_signer.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "libs/base/hex.hpp"
#include "libs/crypto/keccak.hpp"
#include "tests/support/vectors.hpp"

namespace towline::gossip {
namespace {

using Json = nlohmann::json;

const Address kSystemConfig = *parse_fixed_hex<20>("0x229047fed2591dbec1ef1118d64f7af3db9eb290");
constexpr const char* kSigner = "0xaaaa45d9549eda09e70937013520214382ffc4a2";

/// The vector's header, and the answer to eth_getProof for this single slot.
struct Vector {
  Json header, proof;
};
const Vector& vector() {
  static const Vector v = [] {
    const Json j = Json::parse(towline::testing::read_vector("l1-signer-anvil.json"));
    Vector out{j["header"], j["proof"]};
    out.proof["storageProof"].erase(out.proof["storageProof"].begin() + 1, out.proof["storageProof"].end());
    return out;
  }();
  return v;
}

absl::StatusOr<L1Block> read(const Json& header) {
  simdjson::dom::parser parser;
  const std::string text = header.dump();
  return read_l1_block(parser.parse(text).value());
}
absl::StatusOr<Address> prove(const Json& proof, const Address& contract = kSystemConfig) {
  simdjson::dom::parser parser;
  const std::string text = proof.dump();
  return prove_signer(*read(vector().header), contract, parser.parse(text).value());
}

TEST(L1Signer, TheSlotIsTheContracts) {
  const Hash32 h = keccak256(as_bytes("systemconfig.unsafeblocksigner"));
  EXPECT_EQ(to_hex(h.view()), kSignerSlot);
}

TEST(L1Signer, IsReadFromARealAnswer) {
  const auto block = read(vector().header);
  ASSERT_TRUE(block.ok()) << block.status();
  EXPECT_EQ(to_hex(block->id.hash.view()), vector().header["hash"].get<std::string>());
  EXPECT_EQ(block->id.number, 0x22U);
  EXPECT_EQ(block->timestamp, 0x6b08894fU);
  const auto signer = prove(vector().proof);
  ASSERT_TRUE(signer.ok()) << signer.status();
  EXPECT_EQ(to_hex(signer->view()), kSigner);
}

TEST(L1Signer, HeadersOfAnotherClientHashToo) {
  const Json j = Json::parse(towline::testing::read_vector("l1-proof-geth.json"));
  const auto block = read(j["header"]);
  ASSERT_TRUE(block.ok()) << block.status();
  EXPECT_EQ(block->id.number, 0x36U);
}

TEST(L1Signer, AHeaderThatDoesNotHashIsALie) {
  for (const char* field : {"stateRoot", "parentHash", "hash"}) {
    Json h = vector().header;
    std::string text = h[field];
    text[10] = text[10] == '0' ? '1' : '0';
    h[field] = text;
    EXPECT_TRUE(absl::IsDataLoss(read(h).status())) << field;
  }
  Json older = vector().header;
  older["number"] = "0x21";
  EXPECT_TRUE(absl::IsDataLoss(read(older).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(read(Json::object()).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(read(Json("0x12")).status()));
}

TEST(L1Signer, WhatTheStateDoesNotHoldIsNotTaken) {
  // The endpoint's own `value` is ignored.
  Json p = vector().proof;
  p["storageProof"][0]["value"] = "0xbbbb45d9549eda09e70937013520214382ffc4a2";
  EXPECT_EQ(to_hex(prove(p)->view()), kSigner);

  const auto refused = [](const Json& bad) { return absl::IsInvalidArgument(prove(bad).status()); };
  // Another signer in the leaf.
  p = vector().proof;
  std::string leaf = p["storageProof"][0]["proof"].back();
  const auto at = leaf.find("aaaa45d9");
  ASSERT_NE(at, std::string::npos);
  leaf[at] = 'b';
  p["storageProof"][0]["proof"].back() = leaf;
  EXPECT_TRUE(refused(p));
  // The account or the storage of another contract.
  EXPECT_FALSE(prove(vector().proof, *parse_fixed_hex<20>("0x329047fed2591dbec1ef1118d64f7af3db9eb290")).ok());
  const Json whole = Json::parse(towline::testing::read_vector("l1-signer-anvil.json"));
  p = vector().proof;
  p["storageProof"][0]["proof"] = whole["proof"]["storageProof"][1]["proof"];
  EXPECT_TRUE(refused(p)) << "another slot's";
  p["storageProof"][0]["proof"] = whole["proof"]["storageProof"][2]["proof"];
  EXPECT_TRUE(refused(p)) << "that of a slot that is not set";
  p["storageProof"][0]["proof"] = Json::array();
  EXPECT_TRUE(refused(p)) << "that of an empty storage";
  p["storageProof"] = whole["proof"]["storageProof"];
  EXPECT_TRUE(refused(p)) << "three slots";
  p["storageProof"] = Json::array();
  EXPECT_TRUE(refused(p));
  for (const char* field : {"accountProof", "storageProof"}) {
    p = vector().proof;
    p.erase(field);
    EXPECT_TRUE(refused(p)) << field;
    p[field] = "0x";
    EXPECT_TRUE(refused(p)) << field;
  }
  p = vector().proof;
  p["accountProof"] = Json(std::vector<std::string>(66, "0x80"));
  EXPECT_TRUE(refused(p));
  p["accountProof"] = Json::array({1, 2});
  EXPECT_TRUE(refused(p));
  p["accountProof"] = Json::array({"0xzz"});
  EXPECT_TRUE(refused(p));
  EXPECT_TRUE(refused(Json::object()));
  EXPECT_TRUE(refused(Json("0x")));
}

TEST(L1Signer, EachNodeOfBothProofsCounts) {
  std::size_t nodes = 0;
  const auto broken = [&](auto&& proof_in) {
    for (std::size_t i = 0; i < proof_in(vector().proof).size(); ++i, ++nodes) {
      Json p = vector().proof;
      std::string node = proof_in(p)[i];
      char& digit = node[node.size() / 2];
      digit = digit == '0' ? '1' : '0';
      proof_in(p)[i] = node;
      EXPECT_TRUE(absl::IsInvalidArgument(prove(p).status())) << node;
      p = vector().proof;
      proof_in(p).erase(i);
      EXPECT_FALSE(prove(p).ok()) << "without node " << i;
    }
  };
  broken([](auto& p) -> auto& { return p["accountProof"]; });
  broken([](auto& p) -> auto& { return p["storageProof"][0]["proof"]; });
  EXPECT_GE(nodes, 4U);
}

TEST(L1Signer, NoContractIsSaidSo) {
  const Json whole = Json::parse(towline::testing::read_vector("l1-signer-anvil.json"));
  const Address nobody = *parse_fixed_hex<20>(whole["no_account"]["address"].get<std::string>());
  EXPECT_TRUE(absl::IsNotFound(prove(whole["no_account"], nobody).status()));
}

L1Block block(std::uint64_t number, std::uint8_t branch) {
  L1Block b;
  b.id.number = number;
  b.id.hash.bytes[0] = branch;
  return b;
}

TEST(Agreement, IsSoughtAtTheHighestNumberThatEnoughHaveReached) {
  EXPECT_EQ(common_height({100}, 1), 100U);
  EXPECT_EQ(common_height({100, 98}, 2), 98U);
  EXPECT_EQ(common_height({98, 100, 99}, 2), 99U) << "one that lags holds nobody up";
  EXPECT_EQ(common_height({98, 1'000'000, 99}, 2), 99U) << "nor does one that is ahead of all lead";
  EXPECT_EQ(common_height({100}, 2), std::nullopt);
  EXPECT_EQ(common_height({}, 1), std::nullopt);
}

TEST(Agreement, NeedsTheSameBlock) {
  const std::vector<L1Block> two{block(7, 1), block(7, 2)};
  EXPECT_EQ(agreed_block(two, 2), std::nullopt);
  const std::vector<L1Block> three{block(7, 1), block(7, 2), block(7, 2)};
  EXPECT_EQ(agreed_block(three, 2), block(7, 2));
  EXPECT_EQ(agreed_block(std::span{two}.first(1), 1), block(7, 1));
  EXPECT_EQ(agreed_block({}, 1), std::nullopt);
}

}  // namespace
}  // namespace towline::gossip
