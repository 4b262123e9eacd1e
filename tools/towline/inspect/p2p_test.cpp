// `towline inspect gossip|enr|multiaddr|peer-id`: golden messages, bootnodes, and mistakes that are named.
#include "tools/towline/inspect/p2p.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/vectors.hpp"

namespace towline::inspect {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(InspectGossip, GoldenMessages) {
  const auto golden = nlohmann::json::parse(testing::read_vector("gossip-golden.json"));
  for (const auto& m : golden["messages"]) {
    const int version = m["version"];
    SCOPED_TRACE(version);
    const std::string text = m["data"].get<std::string>() + "\n";
    const std::string said = to_text(inspect_gossip(text, {.chain_id = 100}));
    EXPECT_THAT(said, HasSubstr("v" + std::to_string(version)));
    if (version == 4) {
      EXPECT_THAT(said, HasSubstr("block_hash\n"));
      EXPECT_THAT(said, HasSubstr("INVALID\n"));
      continue;
    }
    EXPECT_THAT(said, HasSubstr("signer             0x9965507d1a55bcc2695c58ba16fb37d819b0a4dc\n"));
    EXPECT_THAT(said, HasSubstr("\nVALID\n"));
    GossipQuestion later{.chain_id = 100};
    later.at = absl::FromUnixSeconds(m["timestamp"].get<std::int64_t>() + 100);
    EXPECT_THAT(to_text(inspect_gossip(text, later)), HasSubstr("too_old"));
    GossipQuestion other{.chain_id = 100};
    other.signer = Address{};
    EXPECT_THAT(to_text(inspect_gossip(text, other)), HasSubstr("rule               signature"));
    GossipQuestion topic{.chain_id = 100};
    topic.version = static_cast<gossip_block::PayloadVersion>(version % 4 + 1);
    EXPECT_FALSE(inspect_gossip(text, topic).valid);
  }
  EXPECT_THAT(to_text(inspect_gossip("0xzz", {.chain_id = 1})), HasSubstr("input"));
  EXPECT_THAT(to_text(inspect_gossip("nonsense", {.chain_id = 1})), HasSubstr("snappy"));
  EXPECT_THAT(to_text(inspect_gossip("", {.chain_id = 1})), HasSubstr("INVALID"));
}

TEST(InspectEnr, BootnodesAndNonsense) {
  const auto all = nlohmann::json::parse(testing::read_vector("bootnodes.json"))["bootnodes"];
  for (const auto& [group, list] : all.items())
    for (const auto& n : list) EXPECT_TRUE(inspect_enr(n.get<std::string>()).valid) << n;
  EXPECT_THAT(to_text(inspect_enr("enr:x")), HasSubstr("INVALID"));
  const auto j = nlohmann::json::parse(to_json(inspect_enr(all["OP_RAW_BOOTNODES"][0].get<std::string>())));
  EXPECT_EQ(j["valid"], true);
  EXPECT_TRUE(j["multiaddr"].get<std::string>().starts_with("/ip4/"));
}

TEST(InspectPeer, IdsAndAddresses) {
  const std::string id = "16Uiu2HAkzSpFzYvE7pyNj6zhUxtMAAmwqZnsREb9CCnU3BJ1Nz9F";
  EXPECT_THAT(to_text(inspect_peer_id(id)), HasSubstr("secp256k1"));
  EXPECT_THAT(to_text(inspect_peer_id("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N")), HasSubstr("\nVALID"));
  EXPECT_THAT(to_text(inspect_peer_id("x")), HasSubstr("INVALID"));
  EXPECT_THAT(to_text(inspect_multiaddr("/ip4/127.0.0.1/tcp/9222/p2p/" + id)), HasSubstr(id));
  EXPECT_THAT(to_text(inspect_multiaddr("/ip4/127.0.0.1/udp/9222")), HasSubstr("only /tcp"));
}

}  // namespace
}  // namespace towline::inspect
