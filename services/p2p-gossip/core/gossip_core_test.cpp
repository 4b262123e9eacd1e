// Whom to dial, let in and keep out; whose blocks are good; and when what we refuse may be our own mistake.
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/p2p-gossip/core/bans.hpp"
#include "services/p2p-gossip/core/connection_manager.hpp"
#include "services/p2p-gossip/core/signers.hpp"

namespace towline::gossip {
namespace {

using gossip_block::Rule;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

p2p::PeerId peer(std::uint8_t i) {
  return p2p::PublicKey::of(secp256k1::SecretKey::from(Bytes(32, i))->public_key()).peer_id();
}
p2p::Multiaddr address(std::uint8_t i) {
  p2p::Multiaddr a;
  a.ip = p2p::ip4(10, 0, 0, i);
  a.tcp = 9222;
  a.peer = peer(i);
  return a;
}
Address signer(std::uint8_t i) {
  Address a;
  a.bytes[0] = i;
  return a;
}

TEST(Bans, HoldUntilTheyEndAndOutliveARestart) {
  Bans bans;
  const auto ip = p2p::ip4(10, 0, 0, 1);
  bans.ban(peer(1).to_string(), kNow + absl::Hours(1), "bad blocks");
  bans.ban("10.0.0.1", kNow + absl::Hours(2), "by an operator");
  EXPECT_TRUE(absl::IsPermissionDenied(bans.check(peer(1), p2p::ip4(10, 0, 0, 9), kNow)));
  EXPECT_TRUE(absl::IsPermissionDenied(bans.check(peer(2), ip, kNow)));
  EXPECT_TRUE(bans.check(peer(2), p2p::ip4(10, 0, 0, 9), kNow).ok());
  EXPECT_TRUE(bans.check(peer(1), p2p::ip4(10, 0, 0, 9), kNow + absl::Minutes(61)).ok());
  bans.ban("10.0.0.1", kNow + absl::Minutes(1), "shorter");
  const auto again = Bans::from_json(bans.to_json(kNow));
  ASSERT_TRUE(again.ok()) << again.status();
  ASSERT_THAT(again->list(kNow), SizeIs(2));
  EXPECT_EQ(again->list(kNow)[0].target, "10.0.0.1");
  EXPECT_EQ(again->list(kNow)[0].reason, "by an operator");
  EXPECT_TRUE(bans.unban("10.0.0.1"));
  EXPECT_FALSE(bans.unban("10.0.0.1"));
  EXPECT_TRUE(bans.check(ip, kNow).ok());
}

TEST(Bans, SayWhatIsWrong) {
  EXPECT_THAT(std::string{Bans::canonical("nobody").status().message()},
              HasSubstr("neither a peer id nor an IP address"));
  EXPECT_EQ(*Bans::canonical("2001:DB8:0::1"), "2001:db8::1");
  for (const char* bad :
       {"", "[]", "{}", R"({"bans":[{}]})", R"({"bans":[{"target":"x","until":1}]})", "{\"bans\":[1]}"}) {
    EXPECT_FALSE(Bans::from_json(bad).ok()) << bad;
  }
}

TEST(Bans, AreBounded) {
  Bans bans;
  for (int i = 0; i < 6000; ++i)
    bans.ban(absl::StrCat("10.1.", i / 256, ".", i % 256), kNow + absl::Seconds(i + 1), "");
  EXPECT_LE(bans.list(kNow).size(), 4096U);
  EXPECT_EQ(bans.list(kNow)[0].target, "10.1.23.111") << "those that end first make room";
}

TEST(ConnectionManager, StaticPeersComeBackForEver) {
  ConnectionManager m{{}};
  m.add_static(address(1));
  absl::Time now = kNow;
  for (int i = 0; i < 50; ++i) {
    const auto dials = m.next_dials(now);
    ASSERT_THAT(dials, SizeIs(1)) << i;
    EXPECT_THAT(m.next_dials(now), IsEmpty()) << "one dial at a time";
    m.on_dial_failed(peer(1), now);
    EXPECT_THAT(m.next_dials(now), IsEmpty()) << "not at once again";
    now += absl::Seconds(40);
  }
  m.next_dials(now);
  m.on_connected(peer(1), p2p::ip4(10, 0, 0, 1), true, now);
  EXPECT_THAT(m.next_dials(now + absl::Hours(1)), IsEmpty());
  m.on_disconnected(peer(1), now + absl::Hours(1));
  EXPECT_THAT(m.next_dials(now + absl::Hours(1) + absl::Seconds(2)), SizeIs(1));
}

TEST(ConnectionManager, CandidatesAreDialledWhilePeersAreWantedAndForgottenWhenTheyFail) {
  ConnectionManager m{{.peers_lo = 3, .peers_hi = 5, .max_dials = 2}};
  for (std::uint8_t i = 1; i <= 10; ++i) m.add_candidate(address(i));
  absl::Time now = kNow;
  auto dials = m.next_dials(now);
  EXPECT_THAT(dials, SizeIs(2));
  for (const auto& a : dials) m.on_connected(*a.peer, a.ip, true, now);
  dials = m.next_dials(now);
  EXPECT_THAT(dials, SizeIs(1)) << "three are wanted";
  m.on_connected(*dials[0].peer, dials[0].ip, true, now);
  EXPECT_FALSE(m.wants_peers());
  EXPECT_THAT(m.next_dials(now), IsEmpty());
  for (const auto& p : {*dials[0].peer}) m.on_disconnected(p, now);
  std::size_t known = m.known();
  for (int i = 0; i < 200 && m.known() > 2; ++i) {
    now += absl::Minutes(15);
    for (const auto& a : m.next_dials(now)) m.on_dial_failed(*a.peer, now);
  }
  EXPECT_LT(m.known(), known);
  EXPECT_EQ(m.known(), 2U) << "only those that are connected";
}

TEST(ConnectionManager, LimitsHandshakesAddressesAndPeers) {
  ConnectionManager m{{.peers_lo = 2, .peers_hi = 3, .max_per_ip = 2, .max_handshakes = 4}};
  const auto ip = p2p::ip4(10, 0, 0, 1);
  const auto other = p2p::ip4(10, 0, 0, 5);
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(m.on_accepted(ip, kNow).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(m.on_accepted(ip, kNow))) << "one address does not take all handshakes";
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(m.on_accepted(other, kNow).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(m.on_accepted(p2p::ip4(10, 0, 0, 2), kNow)));
  for (int i = 0; i < 2; ++i) m.on_handshake_ended(ip);
  for (int i = 0; i < 2; ++i) m.on_handshake_ended(other);
  m.on_connected(peer(1), ip, false, kNow);
  m.on_connected(peer(2), ip, false, kNow);
  EXPECT_TRUE(absl::IsResourceExhausted(m.on_accepted(ip, kNow))) << "two of this address";
  EXPECT_TRUE(m.on_accepted(p2p::ip4(127, 0, 0, 1), kNow).ok());
  m.on_connected(peer(3), p2p::ip4(10, 0, 0, 3), false, kNow);
  EXPECT_TRUE(absl::IsResourceExhausted(m.admit(peer(4), p2p::ip4(10, 0, 0, 4), false, kNow)));
  EXPECT_TRUE(m.admit(peer(4), p2p::ip4(10, 0, 0, 4), true, kNow).ok()) << "whom we dialled";
  EXPECT_TRUE(m.admit(peer(3), p2p::ip4(10, 0, 0, 3), false, kNow).ok()) << "who comes back";
  m.bans().ban("10.0.0.4", kNow + absl::Hours(1), "x");
  EXPECT_FALSE(m.admit(peer(4), p2p::ip4(10, 0, 0, 4), true, kNow).ok());
  EXPECT_FALSE(m.on_accepted(p2p::ip4(10, 0, 0, 4), kNow).ok());
  m.add_static(address(4));
  EXPECT_TRUE(m.admit(peer(4), p2p::ip4(10, 0, 0, 4), true, kNow).ok()) << "static peers are exempt";
}

TEST(ConnectionManager, TrimsTheWorstButNeitherStaticNorNewOnes) {
  ConnectionManager m{{.peers_lo = 2, .peers_hi = 4}};
  m.add_static(address(1));
  absl::flat_hash_map<p2p::PeerId, double> scores;
  for (std::uint8_t i = 1; i <= 6; ++i) {
    m.on_connected(peer(i), p2p::ip4(10, 0, 0, i), false, i == 6 ? kNow + absl::Minutes(2) : kNow);
    scores[peer(i)] = i;
  }
  scores[peer(1)] = -50;
  EXPECT_THAT(m.to_trim(scores, kNow + absl::Seconds(1)), IsEmpty());
  const auto out = m.to_trim(scores, kNow + absl::Minutes(2));
  EXPECT_THAT(out, ::testing::ElementsAre(peer(2), peer(3), peer(4), peer(5)));
}

TEST(Signers, TheOneBeforeIsGoodForAWhile) {
  Signers s;
  EXPECT_THAT(s.accepted(kNow), IsEmpty());
  s.set(signer(1), kNow);
  s.set(signer(1), kNow);
  EXPECT_THAT(s.accepted(kNow), ::testing::ElementsAre(signer(1)));
  s.set(signer(2), kNow);
  EXPECT_THAT(s.accepted(kNow + absl::Hours(2)), ::testing::ElementsAre(signer(2), signer(1)));
  EXPECT_THAT(s.accepted(kNow + absl::Hours(3)), ::testing::ElementsAre(signer(2)));
  s.set(signer(3), kNow);
  s.on_block_of(signer(2));
  EXPECT_THAT(s.accepted(kNow), SizeIs(2)) << "a block of the old one changes nothing";
  s.on_block_of(signer(3));
  EXPECT_THAT(s.accepted(kNow), ::testing::ElementsAre(signer(3)));
  s.set(Address{}, kNow);
  EXPECT_THAT(s.accepted(kNow + absl::Hours(4)), IsEmpty()) << "zero: nobody";
}

TEST(SelfDoubt, OfTheSigner) {
  SelfDoubt d;
  for (int i = 0; i < 49; ++i) d.on_verdict(Rule::signature, signer(9), 0, kNow);
  EXPECT_EQ(d.reason(), "");
  d.on_verdict(Rule::signature, signer(9), 0, kNow);
  EXPECT_THAT(d.reason(), HasSubstr("signed by 0x09"));
  d.on_good_block(1'700'000'000, kNow);
  EXPECT_EQ(d.reason(), "") << "a good block shows that we are right";
  for (int i = 0; i < 500; ++i) d.on_verdict(Rule::signature, signer(static_cast<std::uint8_t>(i)), 0, kNow);
  EXPECT_EQ(d.reason(), "") << "noise, each time with another key";
}

TEST(SelfDoubt, OfTheClock) {
  for (const std::int64_t off : {-3600, 3600}) {
    SelfDoubt d;
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(d.reason(), "");
      const absl::Time now = kNow + absl::Seconds(i);
      d.on_verdict(off < 0 ? Rule::too_new : Rule::too_old, signer(1),
                   static_cast<std::uint64_t>(1'700'000'000 + i - off), now);
    }
    EXPECT_THAT(d.reason(), HasSubstr("clock"));
    d.on_good_block(1'700'000'010, kNow + absl::Seconds(10));
    EXPECT_EQ(d.reason(), "");
  }
  SelfDoubt replay;
  for (int i = 0; i < 20; ++i)
    replay.on_verdict(Rule::too_old, signer(1), static_cast<std::uint64_t>(1'600'000'000 + 100 * i), kNow);
  EXPECT_EQ(replay.reason(), "") << "old blocks of different ages are a replay";
}

}  // namespace
}  // namespace towline::gossip
