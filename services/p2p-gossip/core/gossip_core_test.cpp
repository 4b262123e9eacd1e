// Whom to dial, admit and ban; which signers are accepted; and when the fault may be ours.
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/p2p-gossip/core/bans.hpp"
#include "services/p2p-gossip/core/clock_vote.hpp"
#include "services/p2p-gossip/core/connection_manager.hpp"
#include "services/p2p-gossip/core/signers.hpp"

namespace towline::gossip {
namespace {

using gossip_block::Failure;
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
  EXPECT_EQ(bans.shifted(absl::Hours(-1)).list(kNow).size(), 1U);
  EXPECT_EQ(bans.shifted(absl::Hours(1)).list(kNow + absl::Minutes(119)).size(), 2U);
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
  ConnectionManager m{{.peers_lo = 2, .peers_hi = 4, .max_per_ip = 2, .max_handshakes = 4, .max_handshakes_per_ip = 4}};
  const auto ip = p2p::ip4(10, 0, 0, 1);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(m.on_accepted(ip, kNow).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(m.on_accepted(p2p::ip4(10, 0, 0, 2), kNow)));
  for (int i = 0; i < 4; ++i) m.on_handshake_ended(ip);
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

TEST(ConnectionManager, NobodyTakesAllThePlaces) {
  ConnectionManager m{{.peers_lo = 6, .peers_hi = 9}};
  // Half-open connections from one address, and from one IPv6 network.
  for (const auto& ip : {p2p::ip4(10, 0, 0, 1), *p2p::parse_ip("2001:db8::1")}) {
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(m.on_accepted(ip, kNow).ok());
    EXPECT_FALSE(m.on_accepted(ip, kNow).ok());
  }
  EXPECT_FALSE(m.on_accepted(*p2p::parse_ip("2001:db8::2"), kNow).ok());
  EXPECT_TRUE(m.on_accepted(*p2p::parse_ip("2001:db8:0:1::2"), kNow).ok()) << "another network";
  // Parallel handshakes are counted once their peers are known.
  for (std::uint8_t i = 1; i <= 6; ++i)
    if (m.admit(peer(i), p2p::ip4(10, 0, 0, i), false, kNow).ok())
      m.on_connected(peer(i), p2p::ip4(10, 0, 0, i), false, kNow);
  EXPECT_EQ(m.connected(), 6U);
  EXPECT_FALSE(m.admit(peer(7), p2p::ip4(10, 0, 0, 7), false, kNow).ok()) << "three places are for whom we choose";
  EXPECT_TRUE(m.wants_peers()) << "and we look for them";
  for (std::uint8_t i = 10; i < 20; ++i) m.add_candidate(address(i));
  const auto dials = m.next_dials(kNow);
  EXPECT_THAT(dials, SizeIs(3));
  for (const auto& a : dials) m.on_connected(*a.peer, a.ip, true, kNow);
  EXPECT_FALSE(m.wants_peers());
}

TEST(ConnectionManager, AConnectionThatReplacesAnotherTakesItsPlace) {
  ConnectionManager m{{.peers_lo = 2, .peers_hi = 4, .max_per_ip = 1}};
  m.on_connected(peer(1), p2p::ip4(10, 0, 0, 1), false, kNow);
  m.on_connected(peer(1), p2p::ip4(10, 0, 0, 2), true, kNow);
  EXPECT_EQ(m.connected(), 1U);
  EXPECT_TRUE(m.admit(peer(2), p2p::ip4(10, 0, 0, 1), false, kNow).ok());
  EXPECT_FALSE(m.admit(peer(2), p2p::ip4(10, 0, 0, 2), false, kNow).ok());
  m.on_disconnected(peer(1), kNow);
  EXPECT_TRUE(m.admit(peer(2), p2p::ip4(10, 0, 0, 2), false, kNow).ok());
}

TEST(ConnectionManager, MadeUpCandidatesDoNotKeepRealOnesOut) {
  ConnectionManager m{{.peers_lo = 20, .peers_hi = 30, .max_dials = 4}};
  const auto made_up = [](std::uint32_t i) {
    auto a = address(static_cast<std::uint8_t>(1 + i % 200));
    a.peer = *p2p::PeerId::from([&] {
      Bytes id{0, 4};
      for (unsigned s = 0; s < 32; s += 8) id.push_back(static_cast<std::uint8_t>(i >> s));
      return id;
    }());
    a.ip = p2p::ip4(11, static_cast<std::uint8_t>(i >> 16U), static_cast<std::uint8_t>(i >> 8U),
                    static_cast<std::uint8_t>(i));
    return a;
  };
  for (std::uint32_t i = 0; i < 5000; ++i) m.add_candidate(made_up(i));
  EXPECT_EQ(m.known(), 1000U);
  auto real = address(250);
  m.add_candidate(real);
  EXPECT_EQ(m.known(), 1000U);
  bool dialled = false;
  absl::Time now = kNow;
  for (int i = 0; i < 600 && !dialled; ++i) {
    now += absl::Seconds(10);
    m.add_candidate(real);  // announced again and again
    for (const auto& a : m.next_dials(now)) {
      dialled = dialled || a == real;
      m.on_dial_failed(*a.peer, now);
    }
  }
  EXPECT_TRUE(dialled);
  ConnectionManager restricted{{.candidates_from = {*p2p::IpNetwork::parse("10.0.0.4/31")}, .seed = 1}};
  for (std::uint8_t i = 1; i <= 9; ++i) restricted.add_candidate(address(i));
  EXPECT_EQ(restricted.known(), 2U);
  // Many peer ids at one address count as a few only.
  ConnectionManager one{{}};
  for (std::uint32_t i = 0; i < 100; ++i) {
    auto a = made_up(i);
    a.ip = p2p::ip4(11, 0, 0, 1);
    one.add_candidate(a);
  }
  EXPECT_EQ(one.known(), 4U);
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

TEST(ClockAndSignerCheck, OfTheSigner) {
  ClockAndSignerCheck d{absl::Seconds(2)};
  const auto at = [](int i) { return kNow + absl::Seconds(2 * i); };
  for (int i = 0; i < 49; ++i) d.on_result(Failure::signature, signer(9), 0, at(i));
  EXPECT_EQ(d.reason(), "");
  d.on_result(Failure::signature, signer(9), 0, at(49));
  EXPECT_THAT(d.reason(), HasSubstr("signed by 0x09"));
  d.on_good_block(1'700'000'100, at(50));
  EXPECT_EQ(d.reason(), "") << "a good block shows that we are right";
  for (int i = 0; i < 500; ++i) d.on_result(Failure::signature, signer(static_cast<std::uint8_t>(i)), 0, at(51 + i));
  EXPECT_EQ(d.reason(), "") << "noise, each time with another key";
  ClockAndSignerCheck burst{absl::Seconds(2)};
  for (int i = 0; i < 500; ++i) burst.on_result(Failure::signature, signer(9), 0, kNow + absl::Milliseconds(10 * i));
  EXPECT_EQ(burst.reason(), "") << "faster than the chain: nobody can make us doubt at will";
}

TEST(ClockAndSignerCheck, OfTheClock) {
  for (const std::int64_t off : {-3600, 3600}) {
    ClockAndSignerCheck d{absl::Seconds(2)};
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(d.reason(), "");
      const absl::Time now = kNow + absl::Seconds(2 * i);
      d.on_result(off < 0 ? Failure::too_new : Failure::too_old, signer(1),
                  static_cast<std::uint64_t>(1'700'000'000 + 2 * i - off), now);
    }
    EXPECT_THAT(d.reason(), HasSubstr("clock"));
    d.on_good_block(1'700'000'010, kNow + absl::Seconds(10));
    EXPECT_EQ(d.reason(), "");
  }
  ClockAndSignerCheck replay{absl::Seconds(2)};
  for (int i = 0; i < 20; ++i)
    replay.on_result(Failure::too_old, signer(1), static_cast<std::uint64_t>(1'600'000'000 + 100 * i),
                     kNow + absl::Seconds(2 * i));
  EXPECT_EQ(replay.reason(), "") << "old blocks of different ages are a replay";
  // A clock that is ahead, but too little to refuse blocks.
  ClockAndSignerCheck ahead{absl::Seconds(2)};
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(ahead.reason(), "");
    ahead.on_good_block(static_cast<std::uint64_t>(1'700'000'000 + 2 * i), kNow + absl::Seconds(2 * i + 3 + i % 7));
  }
  EXPECT_THAT(ahead.reason(), HasSubstr("at least 3 s late"));
  ahead.on_good_block(1'700'000'040, kNow + absl::Seconds(41));
  EXPECT_EQ(ahead.reason(), "") << "one that comes in time shows that it is right";
}

TEST(ClockAndSignerCheck, OfTheClockByTheSourcesWord) {
  ClockAndSignerCheck d{absl::Seconds(2)};
  d.on_sources(absl::Seconds(2));
  EXPECT_EQ(d.reason(), "");
  d.on_sources(absl::Seconds(3));
  EXPECT_THAT(d.reason(), HasSubstr("3s ahead of the sources'"));
  d.on_good_block(1'700'000'000, kNow);
  EXPECT_THAT(d.reason(), HasSubstr("ahead of")) << "until they say otherwise";
  d.on_sources(-absl::Minutes(1));
  EXPECT_THAT(d.reason(), HasSubstr("1m behind"));
  d.on_sources(std::nullopt);
  EXPECT_EQ(d.reason(), "");
}

TEST(ClockAndSignerCheck, OfTheForkSchedule) {
  // Jovian is active but unknown here: at any pace, only the chain's signer can have made these blocks.
  ClockAndSignerCheck d{absl::Seconds(2)};
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(d.reason(), "");
    EXPECT_TRUE(d.on_result(Failure::blob_gas, signer(1), 1'700'000'000, kNow + absl::Milliseconds(i)));
  }
  EXPECT_THAT(d.reason(), HasSubstr("5 blocks of the chain's signer have blob gas before Jovian"));
  EXPECT_THAT(d.reason(), HasSubstr("--override.jovian"));
  d.on_good_block(1'700'000'010, kNow + absl::Seconds(10));
  EXPECT_THAT(d.reason(), HasSubstr("--override.jovian")) << "an empty block is good in both forks";
  d.on_good_block(1'700'000'012, kNow + absl::Seconds(12), true);
  EXPECT_EQ(d.reason(), "") << "by our schedule, too, it has come now";
  // Any other change of a block's form, at the chain's pace.
  ClockAndSignerCheck other{absl::Seconds(2)};
  for (int i = 0; i < 5; ++i)
    EXPECT_TRUE(other.on_result(Failure::block_hash, signer(1), 1'700'000'000, kNow + absl::Seconds(2 * i)));
  EXPECT_THAT(other.reason(), HasSubstr("the last 5 blocks of the chain's signer break the rule block_hash"));
  other.on_good_block(1'700'000'010, kNow + absl::Seconds(10));
  EXPECT_EQ(other.reason(), "");
  // Valid blocks on the topic of another version, as fast as a lying source likes.
  int punished = 0;
  for (int i = 0; i < 10; ++i)
    punished += other.on_result(Failure::ssz, signer(1), 0, kNow + absl::Seconds(20) + absl::Milliseconds(i)) ? 0 : 1;
  EXPECT_EQ(punished, 8);
}

TEST(ClockAndSignerCheck, WhatComesAtTheChainsPaceIsNoPeersFault) {
  // The signer was changed without our knowledge: each honest block is refused, and no peer may be punished.
  ClockAndSignerCheck d{absl::Seconds(2)};
  for (int i = 0; i < 60; ++i) {
    const absl::Time now = kNow + absl::Seconds(2 * i);
    EXPECT_TRUE(d.on_result(Failure::signature, signer(9), 0, now)) << i;
    EXPECT_TRUE(d.on_result(Failure::too_new, signer(1), 2'000'000'000, now)) << i;
    EXPECT_FALSE(d.on_result(Failure::snappy, std::nullopt, 0, now));
  }
  // A lying source does not get them punished either, even with many keys, and is punished itself.
  int spared = 0;
  for (int i = 60; i < 120; ++i) {
    const absl::Time now = kNow + absl::Seconds(2 * i);
    EXPECT_TRUE(d.on_result(Failure::signature, signer(9), 0, now)) << i;
    for (int j = 0; j < 20; ++j)
      spared += d.on_result(Failure::signature, signer(static_cast<std::uint8_t>(20 + j)), 0, now) ? 1 : 0;
  }
  EXPECT_LE(spared, 62) << "one of the twenty, and no more often than the chain makes blocks";
  EXPECT_FALSE(d.on_result(Failure::signature, std::nullopt, 0, kNow + absl::Hours(1)));
}

TEST(ClockAndSignerCheck, WhatComesFasterIsAnAttack) {
  ClockAndSignerCheck d{absl::Seconds(2)};
  int punished = 0;
  for (int i = 0; i < 10; ++i)
    punished += d.on_result(Failure::signature, signer(9), 0, kNow + absl::Milliseconds(500 * i)) ? 0 : 1;
  EXPECT_GE(punished, 6);
  punished = 0;
  for (int i = 0; i < 10; ++i) punished += d.on_result(Failure::too_old, signer(1), 0, kNow) ? 0 : 1;
  EXPECT_EQ(punished, 8);
}

TEST(VoteOfClocks, OneWrongClockDoesNotCount) {
  const auto vote = [](std::initializer_list<int> seconds) -> std::optional<double> {
    std::vector<absl::Duration> ahead;
    for (const int s : seconds) ahead.push_back(absl::Seconds(s));
    const auto v = vote_of_clocks(ahead);
    return v ? std::optional{absl::ToDoubleSeconds(*v)} : std::nullopt;
  };
  EXPECT_EQ(vote({}), std::nullopt);
  EXPECT_EQ(vote({40}), 40);
  EXPECT_EQ(vote({3600, 1}), 1);
  EXPECT_EQ(vote({-3600, 1}), 0);
  EXPECT_EQ(vote({40, 41}), 40);
  EXPECT_EQ(vote({-41, -40}), -40);
  EXPECT_EQ(vote({3600, 1, 0}), 1);
  EXPECT_EQ(vote({3600, 40, 41, 42}), 41);
}

}  // namespace
}  // namespace towline::gossip
