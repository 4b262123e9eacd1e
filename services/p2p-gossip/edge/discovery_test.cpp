// Discovery over real UDP sockets: two nodes find each other in both address families, and a flood from many addresses
// keeps nobody out.
#include <absl/time/clock.h>
#include <gtest/gtest.h>

#include <boost/asio.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <filesystem>
#include <fstream>

#include "libs/actor_kit/terminator.hpp"
#include "libs/crypto/openssl.hpp"
#include "services/p2p-gossip/edge/gossip_fixture.hpp"
#include "services/p2p-gossip/edge/udp_discovery.hpp"

namespace towline::gossip {
namespace {

using asio::ip::udp;

/// A file store, which has written everything when it ends.
class Files {
 public:
  ~Files() {
    Terminator end;
    end.add(std::move(*store_));
    end.end(system_);
  }
  KeptFilePtr keep(const std::string& path) const { return std::make_shared<KeptFile>(path, "the nodes", *store_); }

 private:
  caf::actor_system_config config_;
  caf::actor_system system_{config_};
  std::optional<file_store_actor> store_{system_.spawn<caf::detached>(file_store)};
};

/// A libp2p node with its discovery.
class Finder {
 public:
  Finder(std::uint8_t i, const std::string& ip, std::vector<BootNode> boot, KeptFilePtr nodes_file = nullptr)
      : identity_{*secp256k1::SecretKey::from(Bytes(32, i))} {
    NetworkConfig c;
    c.listen_ip = ip;
    c.listen_port = 0;
    network = std::make_unique<BlockingNetwork>(
        c, identity_, p2p::Gossipsub::Codec{},
        [](const p2p::Gossipsub::Validation&, const Network::Done& done) { done(p2p::Gossipsub::Verdict::ignore); },
        metrics);
    const auto st = network->start();
    EXPECT_TRUE(st.ok()) << st;
    DiscoveryConfig d;
    d.listen_ip = ip;
    d.advertise_tcp = network->addresses()[0].tcp;
    d.chain_id = kChain;
    d.boot_nodes = std::move(boot);
    d.nodes_file = std::move(nodes_file);
    discovery = std::make_unique<Discovery>(std::move(d), identity_.key(), *network, metrics);
    const auto started = discovery->start();
    EXPECT_TRUE(started.ok()) << started;
  }
  ~Finder() {
    discovery->stop();
    network->stop();
  }
  BootNode record() const { return *parse_boot_node(discovery->enr()); }
  bool connected() { return !network->peers().empty(); }
  bool dropped(const std::string& reason) {
    const std::string line = "towline_gossip_discovery_dropped_total{reason=\"" + reason + "\"} ";
    const std::string text = metrics.text();
    const auto at = text.find(line);
    return at != std::string::npos && text[at + line.size()] != '0';
  }

  Metrics metrics;

 private:
  p2p::Identity identity_;

 public:
  std::unique_ptr<BlockingNetwork> network;
  std::unique_ptr<Discovery> discovery;
};

struct Family : ::testing::TestWithParam<const char*> {};

TEST_P(Family, ThreeConnectThroughTheRecordOfOne) {
  Finder first{1, GetParam(), {}};
  Finder second{2, GetParam(), {first.record()}};
  Finder third{3, GetParam(), {first.record()}};
  EXPECT_TRUE(eventually([&] { return second.network->peers().size() == 2 && third.network->peers().size() == 2; }));
  EXPECT_TRUE(eventually([&] { return second.discovery->peers_known() == 2; }));
}
INSTANTIATE_TEST_SUITE_P(Discovery, Family, ::testing::Values("127.0.0.1", "::1"),
                         [](const auto& i) { return i.index == 0 ? "ip4" : "ip6"; });

TEST(Discovery, NodesThatWereFoundAreKnownAtTheNextStart) {
  const std::string path = ::testing::TempDir() + "towline_nodes.txt";
  std::filesystem::remove(path);
  Finder first{1, "127.0.0.1", {}};
  {
    const Files files;
    Finder second{2, "127.0.0.1", {first.record()}, files.keep(path)};
    ASSERT_TRUE(eventually([&] { return second.connected(); }));
  }
  const Files files;
  Finder again{2, "127.0.0.1", {}, files.keep(path)};
  EXPECT_TRUE(eventually([&] { return again.connected(); }));
  std::filesystem::remove(path);
}

TEST(Discovery, AnUnreadableFileOfNodesDisturbsNothing) {
  const std::string path = ::testing::TempDir() + "towline_nodes_bad.txt";
  std::ofstream{path} << "enr:nonsense\n\xff\xfe\n";
  const Files files;
  Finder first{1, "127.0.0.1", {}};
  Finder second{2, "127.0.0.1", {first.record()}, files.keep(path)};
  EXPECT_TRUE(eventually([&] { return second.connected(); }));
  std::filesystem::remove(path);
}

TEST(Discovery, AFloodFromManyAddressesKeepsNobodyOut) {
  Finder victim{1, "127.0.0.1", {}};
  const auto target = std::get<discv5::Enr>(victim.record());
  asio::io_context io;
  std::vector<udp::socket> sockets;
  for (std::uint8_t i = 1; i <= 200; ++i)
    sockets.emplace_back(io, udp::endpoint{asio::ip::address_v4{{127, 9, i, 1}}, 0});
  const udp::endpoint to{asio::ip::address_v4::loopback(), victim.discovery->port()};
  const std::size_t before = resident_mib();
  std::unique_ptr<Finder> honest;
  const auto packet = [&](unsigned i) -> Bytes {
    const auto from = crypto::random<32>();
    switch (i % 4) {
      case 0:
        return discv5::encode_noise(target.node_id(), from, crypto::random<16>(), crypto::random<12>(), from.view());
      case 1: return discv5::encode_whoareyou(target.node_id(), crypto::random<16>(), crypto::random<12>(), {}).packet;
      case 2: {
        const discv5::Handshake h{from, {}, target.public_key(), target.encoded()};
        return discv5::encode_handshake(target.node_id(), crypto::random<16>(), crypto::random<12>(), h, {},
                                        discv5::Ping{{1}, 1});
      }
      default: return Bytes(from.bytes.begin(), from.bytes.end());
    }
  };
  unsigned sent = 0;
  while (sent < 100'000) {
    for (int n = 0; n < 100; ++n, ++sent) {
      boost::system::error_code ignored;
      sockets[sent % sockets.size()].send_to(asio::buffer(packet(sent)), to, 0, ignored);
    }
    absl::SleepFor(absl::Milliseconds(2));
    if (!honest && sent > 20'000)
      honest = std::make_unique<Finder>(2, "127.0.0.1", std::vector<BootNode>{victim.record()});
  }
  ASSERT_NE(honest, nullptr);
  EXPECT_TRUE(eventually([&] { return honest->connected(); }));
  EXPECT_LT(resident_mib(), before + 64);
  EXPECT_TRUE(eventually([&] { return victim.dropped("limited") && victim.dropped("unexpected"); }));
  EXPECT_TRUE(victim.dropped("malformed"));
  RecordProperty("packets", static_cast<int>(sent));
}

TEST(Discovery, BadInputIsNamed) {
  EXPECT_FALSE(parse_boot_node("http://x").ok());
  EXPECT_FALSE(parse_boot_node("enr:xx").ok());
  EXPECT_FALSE(parse_boot_node("enode://xx").ok());
}

}  // namespace
}  // namespace towline::gossip
