// p2p-gossip over real sockets: honest peers keep receiving while others flood, stall, lie and disconnect.
#include <filesystem>
#include <random>

#include "services/p2p-gossip/edge/gossip_fixture.hpp"

namespace towline::gossip {
namespace {

TEST(Gossip, PassesBlocksOn) {
  Peer sequencer{1, false};
  Peer middle{2, true, {sequencer.address()}};
  Peer last{3, true, {middle.address()}};
  ASSERT_TRUE(eventually([&] { return middle.in_mesh() == 2 && last.in_mesh() == 1 && sequencer.in_mesh() == 1; }));
  for (std::uint64_t n = 1; n <= 20; ++n)
    EXPECT_TRUE(sequencer.network->publish(kTopic, message(n, key(200), n == 20 ? 2U << 20U : 1000)).ok());
  EXPECT_TRUE(eventually([&] { return last.has(20) && last.has(1); }));
  EXPECT_TRUE(middle.has(20));
}

TEST(Gossip, PassesTheLargestBlockOn) {
  Peer sequencer{1, false};
  Peer other{2, true, {sequencer.address()}};
  ASSERT_TRUE(eventually([&] { return other.in_mesh() == 1 && sequencer.in_mesh() == 1; }));
  auto p = block(1);
  // Incompressible data, so that both forms of the block are large.
  std::mt19937_64 random{7};
  for (auto& b : p.transactions[0] = Bytes((10U << 20U) - 10'000)) b = static_cast<std::uint8_t>(random());
  p.block_hash = eth::hash_of(p);
  const Bytes m = gossip_block::encode_message(kChain, gossip_block::PayloadVersion::v4, p, key(200));
  ASSERT_LT(m.size(), gossip_block::kMaxMessage);
  EXPECT_TRUE(sequencer.network->publish(kTopic, m).ok());
  EXPECT_TRUE(eventually([&] { return other.has(1); }));
}

TEST(Gossip, TenWronglySignedBlocksBanTheirSender) {
  Peer victim{2, true};
  Peer honest{1, false, {victim.address()}};
  Peer attacker{9, false, {victim.address()}};
  ASSERT_TRUE(eventually([&] { return victim.in_mesh() == 2 && attacker.in_mesh() == 1 && honest.in_mesh() == 1; }));
  for (std::uint64_t n = 1; n <= 10; ++n) (void)attacker.network->publish(kTopic, message(n, key(66)));
  EXPECT_TRUE(eventually([&] { return !victim.connected(attacker); }));
  EXPECT_EQ(victim.network->bans().size(), 1U);
  // The banned peer dials again and is not admitted; honest peers are still heard.
  EXPECT_TRUE(honest.network->publish(kTopic, message(100, key(200))).ok());
  EXPECT_TRUE(eventually([&] { return victim.has(100); }));
  EXPECT_TRUE(
      eventually([&] { return victim.metric("connections_ended_total{reason=\"banned\",stage=\"handshake\"}") > 0; }));
  EXPECT_FALSE(victim.connected(attacker));
}

TEST(Gossip, RightSignaturesOverWrongHashesAndOldAndReplayedBlocksAreKeptOut) {
  Peer victim{2, true};
  Peer other{3, true, {victim.address()}};
  Peer attacker{9, false, {victim.address()}};
  ASSERT_TRUE(eventually([&] { return victim.in_mesh() == 2 && attacker.in_mesh() == 1; }));
  auto p = block(1);
  p.gas_used = 7;
  (void)attacker.network->publish(kTopic,
                                  gossip_block::encode_message(kChain, gossip_block::PayloadVersion::v4, p, key(200)));
  p = block(2);
  p.timestamp -= 100;
  p.block_hash = eth::hash_of(p);
  (void)attacker.network->publish(kTopic,
                                  gossip_block::encode_message(kChain, gossip_block::PayloadVersion::v4, p, key(200)));
  (void)attacker.network->publish(
      2, gossip_block::encode_message(kChain, gossip_block::PayloadVersion::v3, block(3), key(200)));
  // Twenty valid blocks at one height: six are accepted.
  for (std::uint64_t n = 0; n < 20; ++n) {
    auto q = block(4);
    q.gas_limit = n;
    q.block_hash = eth::hash_of(q);
    (void)attacker.network->publish(
        kTopic, gossip_block::encode_message(kChain, gossip_block::PayloadVersion::v4, q, key(200)));
  }
  EXPECT_TRUE(eventually([&] { return other.has(4) || !victim.connected(attacker); }));
  for (const auto& [rule, count] : {std::pair{"block_hash", 2}, std::pair{"too_old", 1}, std::pair{"none", 6}}) {
    const std::string series = absl::StrCat("blocks_total{rule=\"", rule, "\"}");
    EXPECT_TRUE(eventually([&] { return victim.metric(series) == count; })) << series << ' ' << victim.metric(series);
  }
  EXPECT_FALSE(victim.has(1) || victim.has(2) || victim.has(3));
}

// The schedule here ends too early: each block of the chain breaks a rule, and no peer may be punished.
TEST(Gossip, AScheduleThatLacksAForkBansNobody) {
  rollup::Config old = config();
  for (const auto f : {rollup::Fork::jovian, rollup::Fork::karst, rollup::Fork::lagoon})
    old.fork_times[static_cast<std::size_t>(f)].reset();
  Peer victim{2, true, {}, {}, old};
  Peer honest{1, false, {victim.address()}};
  ASSERT_TRUE(eventually([&] { return victim.in_mesh() == 1 && honest.in_mesh() == 1; }));
  for (std::uint64_t n = 1; n <= 50; ++n) {
    auto p = block(n);
    p.blob_gas_used = 40'000;
    p.block_hash = eth::hash_of(p);
    EXPECT_TRUE(
        honest.network
            ->publish(kTopic, gossip_block::encode_message(kChain, gossip_block::PayloadVersion::v4, p, key(200)))
            .ok());
  }
  EXPECT_TRUE(eventually([&] { return victim.metric("blocks_total{rule=\"blob_gas\"}") == 50; }));
  EXPECT_NE(victim.doubt().find("--override.jovian"), std::string::npos) << victim.doubt();
  // An empty block is valid before and after Jovian, so it proves nothing about the schedule. Its acceptance shows that
  // the peer is heard.
  EXPECT_TRUE(honest.network->publish(kTopic, message(51, key(200))).ok());
  EXPECT_TRUE(eventually([&] { return victim.has(51); }));
  EXPECT_NE(victim.doubt(), "");
  EXPECT_TRUE(victim.connected(honest));
  EXPECT_TRUE(victim.network->bans().empty());
  EXPECT_FALSE(victim.has(1)) << "it is no block by the rules that are known here";
}

TEST(Gossip, FromAnUnknownForkOnNobodyIsPunishedForHowABlockLooks) {
  rollup::Config later = config();
  later.unknown_forks = {{"mesa_time", 1}};
  Peer victim{2, true, {}, {}, later};
  Peer honest{1, false, {victim.address()}};
  ASSERT_TRUE(eventually([&] { return victim.in_mesh() == 1 && honest.in_mesh() == 1; }));
  for (std::uint64_t n = 1; n <= 50; ++n) {
    auto p = block(n);
    p.gas_used = 7;  // as if the header had a field that is unknown here
    EXPECT_TRUE(
        honest.network
            ->publish(kTopic, gossip_block::encode_message(kChain, gossip_block::PayloadVersion::v4, p, key(200)))
            .ok());
  }
  EXPECT_TRUE(eventually([&] { return victim.metric("blocks_total{rule=\"block_hash\"}") == 50; }));
  EXPECT_TRUE(honest.network->publish(kTopic, message(51, key(200))).ok());
  EXPECT_TRUE(eventually([&] { return victim.has(51); }));
  EXPECT_TRUE(victim.network->bans().empty());
}

TEST(Gossip, SnappyBombsAndGarbageMessagesCostTheirSenderOnly) {
  Peer victim{2, true};
  Peer honest{1, false, {victim.address()}};
  Peer attacker{9, false, {victim.address()}};
  ASSERT_TRUE(eventually([&] { return victim.in_mesh() == 2 && attacker.in_mesh() == 1 && honest.in_mesh() == 1; }));
  // 10 MiB of a single byte value, small on the wire; and false lengths.
  std::vector<Bytes> bombs;
  for (std::uint8_t i = 0; i < 40; ++i) bombs.push_back(gossip_block::compress(Bytes(10U << 20U, i)));
  const std::size_t before = resident_mib();
  for (std::uint8_t i = 0; i < 40; ++i) {
    (void)attacker.network->publish(kTopic, bombs[i]);
    (void)attacker.network->publish(kTopic, Bytes{0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, i});
  }
  EXPECT_TRUE(eventually([&] { return !victim.connected(attacker); }));
  EXPECT_TRUE(honest.network->publish(kTopic, message(100, key(200))).ok());
  EXPECT_TRUE(eventually([&] { return victim.has(100); }));
  EXPECT_LT(resident_mib(), before + 64);
}

TEST(Gossip, ConnectionFloodsSlowHandshakesAndGarbageDoNotKeepHonestPeersOut) {
  Peer victim{2, true, {}, with_short_handshakes};
  Peer honest{1, false, {victim.address()}};
  ASSERT_TRUE(eventually([&] { return honest.in_mesh() == 1; }));
  const std::size_t before = resident_mib();
  asio::io_context io;
  const asio::ip::tcp::endpoint to{asio::ip::make_address("127.0.0.1"), victim.address().tcp};
  std::mt19937_64 random{7};
  // Some peers stall in the handshake for as long as they may.
  std::vector<asio::ip::tcp::socket> slow;
  boost::system::error_code ec;
  for (int i = 0; i < 100; ++i) {
    slow.emplace_back(io);
    slow.back().connect(to, ec);
    asio::write(slow.back(), asio::buffer("\x13/multi"), ec);
  }
  std::uint64_t number = 0;
  for (int i = 0; i < 10'000; ++i) {
    asio::ip::tcp::socket s{io};
    s.connect(to, ec);
    if (i % 3 == 0) {
      Bytes noise(1 + random() % 300);
      for (auto& b : noise) b = static_cast<std::uint8_t>(random());
      asio::write(s, asio::buffer(noise), ec);
    }
    if (i % 1000 == 0) {
      EXPECT_TRUE(honest.network->publish(kTopic, message(++number, key(200))).ok());
    }
    s.close(ec);
  }
  EXPECT_TRUE(eventually([&] { return victim.has(number); }));
  EXPECT_EQ(number, 10U);
  EXPECT_LT(resident_mib(), before + 64);
  slow.clear();
  // When the slow peers have left or were disconnected, a new peer gets in.
  Peer late{3, true, {victim.address()}};
  EXPECT_TRUE(eventually([&] { return late.in_mesh() == 1; }));
}

TEST(Gossip, TwoHundredConnectsAndDisconnectsLeakNothing) {
  Peer victim{2, true};
  const auto descriptors = [] {
    return std::distance(std::filesystem::directory_iterator{"/proc/self/fd"}, std::filesystem::directory_iterator{});
  };
  {
    Peer first{1, false, {victim.address()}};
    ASSERT_TRUE(eventually([&] { return first.in_mesh() == 1; }));
  }
  ASSERT_TRUE(eventually([&] { return victim.network->peers().empty(); }));
  const auto fds = descriptors();
  const std::size_t before = resident_mib();
  for (std::uint8_t i = 0; i < 200; ++i) {
    Peer p{static_cast<std::uint8_t>(10 + i % 100), false};
    EXPECT_TRUE(p.network->connect(victim.address()).ok());
  }
  ASSERT_TRUE(eventually([&] { return victim.network->peers().empty(); }));
  EXPECT_TRUE(eventually([&] { return descriptors() <= fds; })) << descriptors() << " > " << fds;
  EXPECT_LT(resident_mib(), before + 32);
}

TEST(Gossip, ANetworkThatWasStoppedDoesNothingAndSaysSo) {
  Peer peer{1, false};
  const std::string other = Peer{2, false}.address().peer->to_string();
  peer.network->stop();
  EXPECT_TRUE(absl::IsUnavailable(peer.network->ban(other, absl::Hours(1), "test")));
  EXPECT_TRUE(absl::IsUnavailable(peer.network->unban(other)));
  EXPECT_TRUE(absl::IsUnavailable(peer.network->publish(0, message(1, key(200))).status()));
  EXPECT_TRUE(peer.network->peers().empty());
}

TEST(Gossip, BansAreKeptAndTakenBack) {
  Peer victim{2, true};
  Peer other{1, false, {victim.address()}};
  ASSERT_TRUE(eventually([&] { return victim.connected(other); }));
  const std::string id = other.address().peer->to_string();
  EXPECT_TRUE(absl::IsFailedPrecondition(other.network->ban(victim.address().peer->to_string(), absl::Hours(1), "")))
      << "its static peer";
  EXPECT_TRUE(victim.network->ban(id, absl::Hours(1), "test").ok());
  EXPECT_TRUE(eventually([&] { return !victim.connected(other); }));
  EXPECT_FALSE(other.network->connect(victim.address()).ok() && victim.connected(other));
  EXPECT_TRUE(victim.network->unban(id).ok());
  EXPECT_TRUE(absl::IsNotFound(victim.network->unban(id)));
  EXPECT_TRUE(absl::IsInvalidArgument(victim.network->ban("x", absl::Hours(1), "")));
  EXPECT_TRUE(eventually([&] { return victim.connected(other); })) << "a static peer comes back";
}

}  // namespace
}  // namespace towline::gossip
