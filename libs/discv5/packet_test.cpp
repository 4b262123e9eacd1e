// The wire of discv5 against the vectors of its specification, bit for bit in both directions, and malformed input.
#include "libs/discv5/packet.hpp"

#include <gtest/gtest.h>

#include <random>

#include "libs/base/hex.hpp"

namespace towline::discv5 {
namespace {

template <std::size_t N>
FixedBytes<N> fixed(const std::string& digits) {
  return *parse_fixed_hex<N>("0x" + digits);
}
secp256k1::SecretKey key(const std::string& digits) { return *secp256k1::SecretKey::from(*parse_hex("0x" + digits)); }

const auto kA = key("eef77acb6c6a6eebc5b363a475ac583ec7eccdb42b6481424c60f59aa326547f");
const auto kB = key("66fb62bfbd66b9177a138c1e5cddbe4f7c30c343e94e68df8769459cb1cde628");
const auto kEphemeral = key("0288ef00023598499cb6c940146d050d2b1fb914198c327f76aad590bead68b6");
const NodeId kIdA = node_id_of(kA.public_key()), kIdB = node_id_of(kB.public_key());
const Nonce kNonce = fixed<12>("ffffffffffffffffffffffff");
const Ping kPing{{0, 0, 0, 1}, 2};

// devp2p, discv5-wire-test-vectors.md
const std::string kPingPacket =
    "00000000000000000000000000000000088b3d4342774649325f313964a39e55ea96c005ad52be8c7560413a7008f16c9e6d2f43bbea8814a5"
    "46b740"
    "9ce783d34c4f53245d08dab84102ed931f66d1492acb308fa1c6715b9d139b81acbdcc";
const std::string kWhoAreYouPacket =
    "00000000000000000000000000000000088b3d434277464933a1ccc59f5967ad1d6035f15e528627dde75cd68292f9e6c27d6b66c8100a873f"
    "cbaed4"
    "e16b8d";
const std::string kHandshakePacket =
    "00000000000000000000000000000000088b3d4342774649305f313964a39e55ea96c005ad521d8c7560413a7008f16c9e6d2f43bbea8814a5"
    "46b740"
    "9ce783d34c4f53245d08da4bb252012b2cba3f4f374a90a75cff91f142fa9be3e0a5f3ef268ccb9065aeecfd67a999e7fdc137e062b2ec4a0e"
    "b92947"
    "f0d9a74bfbf44dfba776b21301f8b65efd5796706adff216ab862a9186875f9494150c4ae06fa4d1f0396c93f215fa4ef524f1eadf5f0f4126"
    "b79336"
    "671cbcf7a885b1f8bd2a5d839cf8";
const std::string kHandshakeWithRecordPacket =
    "00000000000000000000000000000000088b3d4342774649305f313964a39e55ea96c005ad539c8c7560413a7008f16c9e6d2f43bbea8814a5"
    "46b740"
    "9ce783d34c4f53245d08da4bb23698868350aaad22e3ab8dd034f548a1c43cd246be98562fafa0a1fa86d8e7a3b95ae78cc2b988ded6a5b59e"
    "b83ad5"
    "8097252188b902b21481e30e5e285f19735796706adff216ab862a9186875f9494150c4ae06fa4d1f0396c93f215fa4ef524e0ed04c3c21e39"
    "b1868e"
    "1ca8105e585ec17315e755e6cfc4dd6cb7fd8e1a1f55e49b4b5eb024221482105346f3c82b15fdaae36a3bb12a494683b4a3c7f2ae41306252"
    "fed847"
    "85e2bbff3b022812d0882f06978df84a80d443972213342d04b9048fc3b1d5fcb1df0f822152eced6da4d3f6df27e70e4539717307a0208cd2"
    "08d650"
    "93ccab5aa596a34d7511401987662d8cf62b139471";

Bytes challenge_data(std::uint64_t enr_seq) {
  return encode_whoareyou(kIdB, {}, fixed<12>("0102030405060708090a0b0c"),
                          {fixed<16>("0102030405060708090a0b0c0d0e0f10"), enr_seq})
      .data;
}

TEST(Packets, NodeIds) {
  EXPECT_EQ(to_hex(kIdA.view()), "0xaaaa8419e9f49d0083561b48287df592939a8d19947d8c0ef88f2a4856a69fbb");
  EXPECT_EQ(to_hex(kIdB.view()), "0xbbbb9d047f0488c0b5a93c1c3f2d8bafc7c8ff337024a55434a0d0555de64db9");
}

TEST(Packets, Ordinary) {
  const auto p = decode_packet(kIdB, *parse_hex("0x" + kPingPacket));
  ASSERT_TRUE(p.ok()) << p.status();
  EXPECT_EQ(std::get<Ordinary>(p->auth).source, kIdA);
  EXPECT_EQ(p->nonce, kNonce);
  const auto m = open(*p, {});
  ASSERT_TRUE(m.ok()) << m.status();
  EXPECT_EQ(std::get<Ping>(*m), kPing);
  EXPECT_EQ(to_hex(encode_ordinary(kIdB, kIdA, {}, kNonce, {}, kPing)), "0x" + kPingPacket);
  EXPECT_TRUE(absl::IsDataLoss(open(*p, fixed<16>("00000000000000000000000000000001")).status()));
  EXPECT_FALSE(decode_packet(kIdA, *parse_hex("0x" + kPingPacket)).ok()) << "for another node";
}

TEST(Packets, WhoAreYou) {
  const WhoAreYou w{fixed<16>("0102030405060708090a0b0c0d0e0f10"), 0};
  const auto c = encode_whoareyou(kIdB, {}, fixed<12>("0102030405060708090a0b0c"), w);
  EXPECT_EQ(to_hex(c.packet), "0x" + kWhoAreYouPacket);
  EXPECT_EQ(to_hex(c.data),
            "0x000000000000000000000000000000006469736376350001010102030405060708090a0b0c00180102030405060708090a0b0c0d"
            "0e0f100000000000000000");
  const auto p = decode_packet(kIdB, c.packet);
  ASSERT_TRUE(p.ok()) << p.status();
  EXPECT_EQ(std::get<WhoAreYou>(p->auth).id_nonce, w.id_nonce);
  EXPECT_EQ(p->header, c.data);
}

TEST(Packets, HandshakesWithAndWithoutARecord) {
  for (const bool with_record : {false, true}) {
    SCOPED_TRACE(with_record);
    const std::string& text = with_record ? kHandshakeWithRecordPacket : kHandshakePacket;
    const Bytes challenge = challenge_data(with_record ? 0 : 1);
    const auto p = decode_packet(kIdB, *parse_hex("0x" + text));
    ASSERT_TRUE(p.ok()) << p.status();
    const auto& h = std::get<Handshake>(p->auth);
    EXPECT_EQ(h.source, kIdA);
    EXPECT_EQ(h.ephemeral_key, kEphemeral.public_key());
    EXPECT_TRUE(
        secp256k1::verify(kA.public_key(), id_signature_digest(challenge, h.ephemeral_key, kIdB), h.id_signature));
    EXPECT_EQ(kA.sign(id_signature_digest(challenge, h.ephemeral_key, kIdB)), h.id_signature);
    if (with_record) {
      const auto e = Enr::decode(h.record);
      ASSERT_TRUE(e.ok()) << e.status();
      EXPECT_EQ(e->node_id(), kIdA);
    } else {
      EXPECT_TRUE(h.record.empty());
    }
    // Both ends come to the same keys.
    const auto keys = derive_keys(*kEphemeral.ecdh(kB.public_key()), challenge, kIdA, kIdB);
    EXPECT_EQ(keys.initiator, derive_keys(*kB.ecdh(h.ephemeral_key), challenge, kIdA, kIdB).initiator);
    EXPECT_EQ(to_hex(keys.initiator.view()),
              with_record ? "0x53b1c075f41876423154e157470c2f48" : "0x4f9fac6de7567d1e3b1241dffe90f662");
    const auto m = open(*p, keys.initiator);
    ASSERT_TRUE(m.ok()) << m.status();
    EXPECT_EQ(std::get<Ping>(*m).enr_seq, 1U);
    EXPECT_EQ(to_hex(encode_handshake(kIdB, {}, kNonce, h, keys.initiator, *m)), "0x" + text);
  }
}

TEST(Keys, KnownAnswers) {
  const Bytes challenge = challenge_data(0);
  const auto ephemeral = key("fb757dc581730490a1d7a00deea65e9b1936924caaea8f44d476014856b68736");
  const auto keys =
      derive_keys(*ephemeral.ecdh(fixed<33>("0317931e6e0840220642f230037d285d122bc59063221ef3226b1f403ddc69ca91")),
                  challenge, kIdA, kIdB);
  EXPECT_EQ(to_hex(keys.initiator.view()), "0xdccc82d81bd610f4f76d3ebe97a40571");
  EXPECT_EQ(to_hex(keys.recipient.view()), "0xac74bb8773749920b0d3a8881c173ec5");
  const auto digest = id_signature_digest(
      challenge, fixed<33>("039961e4c2356d61bedb83052c115d311acb3a96f5777296dcf297351130266231"), kIdB);
  EXPECT_EQ(to_hex(ephemeral.sign(digest).view()),
            "0x94852a1e2318c4e5e9d422c98eaf19d1d90d876b29cd06ca7cb7546d0fff7b484fe86c09a064fe72bdbef73ba8e9c34df0cd2b53"
            "e9d65528c2c7f336d5dfc6e6");
}

TEST(Messages, RoundTrip) {
  const Bytes record = Enr::make(kA, 3, {}).encoded();
  const Message all[] = {kPing,
                         Pong{{1}, 7, p2p::ip4(10, 0, 0, 1), 9222},
                         Pong{{1}, 7, *p2p::parse_ip("2001:db8::1"), 1},
                         FindNode{{}, {256, 255, 0}},
                         Nodes{{1, 2, 3, 4, 5, 6, 7, 8}, 2, {record, record}},
                         Nodes{{9}, 1, {}},
                         TalkRequest{{9}, {'x'}, {}},
                         TalkResponse{{9}, {1, 2}}};
  for (const auto& m : all) {
    const auto back = decode_message(encode(m));
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_TRUE(*back == m);
  }
  EXPECT_TRUE(absl::IsUnimplemented(decode_message(Bytes{7, 0xc0}).status()));
  EXPECT_FALSE(decode_message(Bytes{}).ok());
  EXPECT_FALSE(decode_message(Bytes{1, 0xc0}).ok());
  EXPECT_FALSE(decode_message(encode(FindNode{{1}, {257}})).ok());
  EXPECT_FALSE(decode_message(encode(Ping{Bytes(9, 1), 1})).ok());
}

TEST(Packets, NoiseIsNoCrash) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random{seed};
  for (int i = 0; i < 3000; ++i) {
    const Bytes whole = *parse_hex("0x" + (i % 2 == 0 ? kHandshakeWithRecordPacket : kPingPacket));
    Bytes b = whole;
    for (std::uint64_t n = random() % 4 + 1; n > 0; --n)
      b[random() % b.size()] ^= static_cast<std::uint8_t>(1 + random() % 255);
    if (random() % 4 == 0) b.resize(random() % b.size());
    const auto p = decode_packet(kIdB, b);
    if (p.ok() && b != whole) {
      EXPECT_FALSE(open(*p, {}).ok()) << "what was changed does not open, nor what another key has sealed";
    }
  }
}

}  // namespace
}  // namespace towline::discv5
