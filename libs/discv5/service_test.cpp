// discv5 as a network of services that talk through the test: lost packets, restarts, false records and floods. The
// clock and the random bytes are the test's.
#include "libs/discv5/service.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <set>

namespace towline::discv5 {
namespace {

constexpr OpStack kChain{901, 0};
const absl::Time kStart = absl::FromUnixSeconds(1'700'000'000);

std::uint64_t seed() {
  const char* s = std::getenv("TOWLINE_SEED");
  return s == nullptr ? 20'261'124 : std::strtoull(s, nullptr, 10);
}

secp256k1::SecretKey key_of(unsigned n) {
  Hash32 bytes;
  bytes.bytes[29] = 7;
  bytes.bytes[30] = static_cast<std::uint8_t>(n >> 8U);
  bytes.bytes[31] = static_cast<std::uint8_t>(n);
  return *secp256k1::SecretKey::from(bytes.view());
}

/// Each node is in a network of its own, so that no limit per network applies.
SocketAddress address_of(unsigned n) {
  return {p2p::ip4(44, static_cast<std::uint8_t>(n >> 8U), static_cast<std::uint8_t>(n), 1), 9222};
}
SocketAddress address6_of(unsigned n) {
  SocketAddress a{*p2p::parse_ip("2001:db8::1"), 9222};
  a.ip.bytes[6] = static_cast<std::uint8_t>(n >> 8U);
  a.ip.bytes[7] = static_cast<std::uint8_t>(n);
  return a;
}
Contact contact_of(unsigned n, const SocketAddress& a) {
  const auto key = key_of(n).public_key();
  return {node_id_of(key), key, a};
}
Contact contact_of(unsigned n) { return contact_of(n, address_of(n)); }

Enr::Fields fields_of(const SocketAddress& a, bool tell_ip = true, OpStack chain = kChain) {
  Enr::Fields f;
  const bool v4 = p2p::is_ip4(a.ip);
  (v4 ? f.udp4 : f.udp6) = a.port;
  (v4 ? f.tcp4 : f.tcp6) = a.port;
  if (tell_ip) (v4 ? f.ip4 : f.ip6) = a.ip;
  f.opstack = chain;
  return f;
}

struct Net;

struct Node final : Service::Handler {
  Net& net;
  const unsigned number;
  const SocketAddress address;
  std::unique_ptr<Service> service;
  std::map<NodeId, Enr> met;
  std::vector<Enr> changes;

  Node(Net& n, unsigned i, const SocketAddress& a) : net{n}, number{i}, address{a} {}
  void send(const SocketAddress& to, const Bytes& packet) override;
  void discovered(const Enr& r) override { met.insert_or_assign(r.node_id(), r); }
  void local_changed(const Enr& r) override { changes.push_back(r); }
};

struct Sent {
  SocketAddress from, to;
  Bytes packet;
};

struct Net {
  std::mt19937_64 random{seed()};
  absl::Time now = kStart;
  std::vector<Sent> wire;
  std::map<SocketAddress, std::unique_ptr<Node>> nodes;
  unsigned lost_percent = 0;
  /// The address that others see of a node.
  std::map<SocketAddress, SocketAddress> nat;

  Service::Random bytes() {
    return [this](std::span<std::uint8_t> out) {
      for (auto& b : out) b = static_cast<std::uint8_t>(random());
    };
  }
  Node& add(unsigned n, const SocketAddress& a, const std::vector<Contact>& boot, Enr::Fields fields) {
    auto& node = nodes[a];
    if (!node) node = std::make_unique<Node>(*this, n, a);
    Service::Options o;
    o.fields = std::move(fields);
    o.first_seq = static_cast<std::uint64_t>(absl::ToUnixMillis(now));
    o.ip6 = true;
    node->service = std::make_unique<Service>(key_of(n), std::move(o), *node, bytes());
    for (const auto& b : boot) node->service->add_boot_node(b);
    return *node;
  }
  Node& add(unsigned n, const std::vector<Contact>& boot = {}) {
    return add(n, address_of(n), boot, fields_of(address_of(n)));
  }
  void deliver() {
    while (!wire.empty()) {
      const auto batch = std::exchange(wire, {});
      for (const Sent& s : batch) {
        if (random() % 100 < lost_percent) continue;
        const auto inside = std::find_if(nat.begin(), nat.end(), [&](const auto& n) { return n.second == s.to; });
        const auto to = nodes.find(inside == nat.end() ? s.to : inside->first);
        if (to == nodes.end() || !to->second->service) continue;
        const auto from = nat.find(s.from);
        to->second->service->on_packet(from == nat.end() ? s.from : from->second, s.packet, now);
      }
    }
  }
  void run(absl::Duration d) {
    for (const absl::Time end = now + d; now < end; now += Service::kTick) {
      for (auto& [a, n] : nodes)
        if (n->service) n->service->on_timer(now);
      deliver();
    }
  }
};

void Node::send(const SocketAddress& to, const Bytes& packet) {
  EXPECT_GE(packet.size(), kMinPacket);
  EXPECT_LE(packet.size(), kMaxPacket);
  net.wire.push_back({address, to, packet});
}

TEST(Table, DistancesAndBuckets) {
  NodeId a, b;
  EXPECT_EQ(log_distance(a, b), 0U);
  b.bytes[31] = 1;
  EXPECT_EQ(log_distance(a, b), 1U);
  b.bytes[0] = 0x80;
  EXPECT_EQ(log_distance(a, b), 256U);
  b.bytes[0] = 0x01;
  EXPECT_EQ(log_distance(a, b), 249U);
  NodeId far;
  far.bytes[0] = 2;
  EXPECT_TRUE(nearer(a, b, far));
  EXPECT_FALSE(nearer(a, far, b));
  EXPECT_FALSE(nearer(a, b, b));
}

TEST(Table, HoldsFewOfOneNetworkAndABoundedNumberInAll) {
  Table same{contact_of(0).id}, local{contact_of(0).id}, wide{contact_of(0).id};
  for (unsigned n = 1; n <= 600; ++n) {
    const auto last = static_cast<std::uint8_t>(n);
    const auto add = [&](Table& t, const p2p::Ip& ip) {
      const SocketAddress a{ip, static_cast<std::uint16_t>(2000 + n)};
      t.add(Enr::make(key_of(n), 1, fields_of(a)), a);
    };
    add(same, p2p::ip4(44, 1, 1, last));
    add(local, p2p::ip4(127, 0, 0, 1));
    add(wide, address_of(n).ip);
  }
  EXPECT_LE(same.size(), Table::kPerNetwork);
  EXPECT_GE(same.size(), Table::kPerNetworkInBucket);
  EXPECT_GT(local.size(), 60U);
  EXPECT_LE(wide.size(), Table::kBuckets * Table::kBucketSize);
  EXPECT_EQ(local.size(), wide.size());
}

TEST(Table, ANodeThatNeverAnsweredGoesAtOnceAndOneThatDidLater) {
  Table t{contact_of(0).id};
  const auto record = Enr::make(key_of(1), 1, fields_of(address_of(1)));
  EXPECT_TRUE(t.add(record, address_of(1)));
  EXPECT_EQ(t.live(), 0U);
  EXPECT_TRUE(t.live_at(log_distance(contact_of(0).id, record.node_id())).empty());
  t.on_failure(record.node_id(), kStart);
  EXPECT_EQ(t.size(), 0U);
  t.add(record, address_of(1));
  t.on_answer(record.node_id(), address_of(2));
  EXPECT_EQ(t.live(), 0U) << "it answered from another address";
  t.on_answer(record.node_id(), address_of(1));
  EXPECT_EQ(t.live(), 1U);
  t.on_failure(record.node_id(), kStart);
  t.on_failure(record.node_id(), kStart);
  EXPECT_EQ(t.size(), 1U);
  // A newer record with another address must prove itself anew; an older one changes nothing.
  EXPECT_TRUE(t.add(Enr::make(key_of(1), 2, fields_of(address_of(3))), address_of(3)));
  EXPECT_EQ(t.live(), 0U);
  EXPECT_FALSE(t.add(record, address_of(1)));
  EXPECT_EQ(t.find(record.node_id())->address, address_of(3));
}

TEST(Discv5, TwoNodesMeetThroughOneRecord) {
  Net net;
  Node& a = net.add(1);
  Node& b = net.add(2, {contact_of(1)});
  net.run(absl::Seconds(3));
  EXPECT_EQ(b.met.count(a.service->local().node_id()), 1U);
  EXPECT_EQ(a.met.count(b.service->local().node_id()), 1U);
  EXPECT_EQ(a.service->table().live(), 1U);
  EXPECT_EQ(b.service->table().live(), 1U);
  EXPECT_EQ(a.service->peers_known(), 1U);
  EXPECT_EQ(a.service->stats().bad_handshake + b.service->stats().bad_handshake, 0U);
}

TEST(Discv5, ThirtyNodesFindEachOtherFromOneBootNodeThoughPacketsAreLost) {
  Net net;
  SCOPED_TRACE(::testing::Message() << "TOWLINE_SEED=" << seed());
  net.lost_percent = 5;
  net.add(0, address_of(0), {}, fields_of(address_of(0), true, {1, 0}));  // a boot node of another chain
  for (unsigned n = 1; n < 30; ++n) net.add(n, {contact_of(0)});
  net.run(absl::Minutes(3));
  for (const auto& [a, n] : net.nodes) {
    if (n->number == 0) continue;
    EXPECT_EQ(n->met.size(), 28U) << "node " << n->number << " does not know all of its chain";
    EXPECT_FALSE(n->met.contains(contact_of(0).id)) << "a node of another chain was offered";
    EXPECT_GE(n->service->table().live(), 20U);
  }
}

TEST(Discv5, BothFamilies) {
  Net net;
  const auto both = [](unsigned n) {
    auto f = fields_of(address_of(n));
    f.ip6 = address6_of(n).ip;
    f.udp6 = f.tcp6 = address6_of(n).port;
    return f;
  };
  net.add(0, address6_of(0), {}, fields_of(address6_of(0)));
  for (unsigned n = 1; n < 6; ++n)
    net.add(n, address6_of(n), {contact_of(0, address6_of(0))}, fields_of(address6_of(n)));
  // The IPv4 address of a node with both is used.
  net.add(6, address_of(6), {contact_of(0, address6_of(0))}, both(6));
  net.run(absl::Minutes(1));
  for (const auto& [a, n] : net.nodes) EXPECT_EQ(n->met.size(), 6U) << "node " << n->number;
}

TEST(Discv5, ANodeThatWasRestartedIsThereAgain) {
  Net net;
  net.add(0);
  for (unsigned n = 1; n < 6; ++n) net.add(n, {contact_of(0)});
  net.run(absl::Minutes(1));
  // It has forgotten its sessions; the others have not.
  Node& again = net.add(3, {contact_of(0)});
  again.met.clear();
  net.run(absl::Seconds(30));
  EXPECT_EQ(again.met.size(), 5U);
  for (const auto& [a, n] : net.nodes) {
    if (n->number == 3) continue;
    const auto* known = n->service->table().find(contact_of(3).id);
    ASSERT_NE(known, nullptr) << "node " << n->number;
    EXPECT_EQ(known->record.seq(), again.service->local().seq()) << "the newer record of node 3 at " << n->number;
  }
}

TEST(Discv5, TheBootNodeComesLate) {
  Net net;
  Node& b = net.add(1, {contact_of(0)});
  net.run(absl::Minutes(1));
  EXPECT_TRUE(b.met.empty());
  net.add(0);
  net.run(absl::Seconds(10));
  EXPECT_EQ(b.met.size(), 1U);
}

TEST(Discv5, ANodeThatIsGoneIsForgotten) {
  Net net;
  net.add(0);
  net.add(1, {contact_of(0)});
  net.run(absl::Seconds(30));
  net.nodes.erase(address_of(0));
  net.run(absl::Minutes(6));
  EXPECT_EQ(net.nodes.at(address_of(1))->service->table().size(), 0U);
  EXPECT_EQ(net.nodes.at(address_of(1))->service->peers_known(), 0U);
}

TEST(Discv5, LearnsItsAddressFromOthers) {
  Net net;
  for (unsigned n = 0; n < 14; ++n) net.add(n, n == 0 ? std::vector<Contact>{} : std::vector<Contact>{contact_of(0)});
  const SocketAddress outside{p2p::ip4(55, 1, 2, 3), 9333};
  Node& hidden = net.add(20, address_of(20), {contact_of(0)}, fields_of(address_of(20), false));
  net.nat[address_of(20)] = outside;
  net.run(absl::Minutes(3));
  ASSERT_EQ(hidden.changes.size(), 1U);
  EXPECT_EQ(hidden.changes[0].fields().ip4, outside.ip);
  EXPECT_EQ(hidden.changes[0].fields().udp4, outside.port);
  EXPECT_EQ(hidden.changes[0].fields().tcp4, address_of(20).port);
  EXPECT_GT(hidden.changes[0].seq(), static_cast<std::uint64_t>(absl::ToUnixMillis(kStart)));
}

/// A node of the attacker: the test decides what it sends.
struct Attack : ::testing::Test {
  Net net;
  Node& victim = net.add(1);
  const NodeId id = victim.service->local().node_id();
  std::vector<Sent> sent() { return std::exchange(net.wire, {}); }
  Bytes noise(const NodeId& from) {
    Nonce nonce;
    MaskingIv iv;
    Hash32 noise;
    net.bytes()(nonce.bytes);
    net.bytes()(iv.bytes);
    net.bytes()(noise.bytes);
    return encode_noise(id, from, iv, nonce, noise.view());
  }
};

TEST_F(Attack, SpoofedSourcesCostAtMostSoManyAnswersASecond) {
  std::size_t answers = 0, bytes_in = 0, bytes_out = 0;
  for (unsigned i = 0; i < 100'000; ++i) {
    NodeId from;
    net.bytes()(from.bytes);
    SocketAddress a{p2p::ip4(0, 0, 0, 0), 9000};
    net.bytes()(std::span{a.ip.bytes}.subspan(12));
    const Bytes packet = noise(from);
    bytes_in += packet.size();
    victim.service->on_packet(a, packet, net.now);
    for (const auto& s : sent()) {
      ++answers;
      bytes_out += s.packet.size();
    }
  }
  EXPECT_LE(answers, 500U);
  EXPECT_LT(bytes_out, bytes_in);
  EXPECT_EQ(victim.service->stats().limited, 100'000U - answers);
  EXPECT_EQ(victim.service->sessions(), 0U);
  EXPECT_EQ(victim.service->table().size(), 0U);
  // A second later a newcomer is served.
  net.now += absl::Seconds(2);
  net.add(2, {contact_of(1)});
  net.run(absl::Seconds(3));
  EXPECT_EQ(victim.met.size(), 1U);
}

TEST_F(Attack, OneSourceGetsTheSameChallengeAgainAndFewOfThem) {
  const NodeId from = contact_of(9).id;
  victim.service->on_packet(address_of(9), noise(from), net.now);
  victim.service->on_packet(address_of(9), noise(from), net.now);
  auto first = sent();
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first[0].packet, first[1].packet);
  for (std::uint16_t port = 2000; port < 3000; ++port)
    victim.service->on_packet({address_of(9).ip, port}, noise(from), net.now);
  EXPECT_LE(sent().size(), 20U);
}

TEST_F(Attack, ChallengesAndAnswersThatNobodyAskedForDoNothing) {
  const auto before = victim.service->stats();
  for (int i = 0; i < 1000; ++i) {
    const auto w = encode_whoareyou(id, {}, Nonce{}, {});
    victim.service->on_packet(address_of(9), w.packet, net.now);
    Handshake h{contact_of(9).id, {}, key_of(9).public_key(), {}};
    victim.service->on_packet(address_of(9), encode_handshake(id, {}, {}, h, {}, Ping{{1}, 1}), net.now);
  }
  EXPECT_EQ(victim.service->stats().unexpected, before.unexpected + 2000);
  EXPECT_TRUE(sent().empty());
}

TEST_F(Attack, AHandshakeWithAnotherKeyIsRefusedAndTheTrueOneStillServed) {
  const auto honest = key_of(9);
  const NodeId from = node_id_of(honest.public_key());
  victim.service->on_packet(address_of(9), noise(from), net.now);
  const auto challenge = decode_packet(from, sent().at(0).packet);
  ASSERT_TRUE(challenge.ok());
  const auto record = Enr::make(honest, 5, fields_of(address_of(9)));
  const auto handshake = [&](const secp256k1::SecretKey& signer) {
    const auto ephemeral = key_of(77);
    const auto keys = derive_keys(*ephemeral.ecdh(victim.service->local().public_key()), challenge->header, from, id);
    const Handshake h{from, signer.sign(id_signature_digest(challenge->header, ephemeral.public_key(), id)),
                      ephemeral.public_key(), record.encoded()};
    return encode_handshake(id, {}, {}, h, keys.initiator, Ping{{1}, 5});
  };
  for (int i = 0; i < 5; ++i) victim.service->on_packet(address_of(9), handshake(key_of(66)), net.now);
  EXPECT_EQ(victim.service->stats().bad_handshake, 5U);
  EXPECT_EQ(victim.service->sessions(), 0U);
  EXPECT_TRUE(sent().empty());
  victim.service->on_packet(address_of(9), handshake(honest), net.now);
  EXPECT_EQ(victim.service->stats().handshakes, 1U);
  EXPECT_EQ(sent().size(), 1U) << "the PONG";
  // The same handshake again finds no challenge, nor does it from another address.
  victim.service->on_packet(address_of(9), handshake(honest), net.now);
  victim.service->on_packet(address_of(8), handshake(honest), net.now);
  EXPECT_EQ(victim.service->stats().handshakes, 1U);
  // The number of checked signatures per second is limited.
  victim.service->on_packet({address_of(9).ip, 1234}, noise(from), net.now);
  sent();
  for (int i = 0; i < 1000; ++i) victim.service->on_packet({address_of(9).ip, 1234}, handshake(honest), net.now);
  EXPECT_LE(victim.service->stats().bad_handshake, 20U);
}

TEST_F(Attack, OfAnAnswerOnlyWhatWasAskedForAndCanBeReachedIsBelieved) {
  // The victim asks its boot node, the liar, for its record, and gets a false one.
  const auto key = key_of(9);
  const NodeId liar = node_id_of(key.public_key());
  const auto told = [&](std::vector<Enr> records, std::uint64_t total) {
    Node& asker = net.add(2, {contact_of(9)});
    const NodeId asker_id = asker.service->local().node_id();
    net.now += absl::Seconds(30);
    asker.met.clear();
    asker.service->on_timer(net.now);
    const auto question = decode_packet(liar, sent().at(0).packet);
    const auto c = encode_whoareyou(asker_id, {}, question->nonce, {IdNonce{}, 0});
    asker.service->on_packet(address_of(9), c.packet, net.now);
    const auto handshake = decode_packet(liar, sent().at(0).packet);
    const auto& h = std::get<Handshake>(handshake->auth);
    const auto keys = derive_keys(*key.ecdh(h.ephemeral_key), c.data, asker_id, liar);
    const auto m = open(*handshake, keys.initiator);
    Nodes answer{std::get<FindNode>(*m).id, total};
    for (const auto& r : records) answer.records.push_back(r.encoded());
    asker.service->on_packet(address_of(9), encode_ordinary(asker_id, liar, {}, Nonce{}, keys.recipient, answer),
                             net.now);
    sent();
    return asker.met.size();
  };
  const auto record = [&](unsigned n, const p2p::Ip& ip, std::uint16_t port) {
    return Enr::make(key_of(n), 1, fields_of({ip, port}));
  };
  EXPECT_EQ(told({record(9, address_of(9).ip, 9222)}, 1), 1U) << "its own record";
  EXPECT_EQ(told({record(10, address_of(10).ip, 9222)}, 1), 0U) << "another's, at a distance that nobody asked for";
  EXPECT_EQ(told({record(9, p2p::ip4(127, 0, 0, 1), 9222)}, 1), 0U) << "loopback";
  EXPECT_EQ(told({record(9, p2p::ip4(192, 168, 1, 1), 9222)}, 1), 0U) << "a private network";
  EXPECT_EQ(told({record(9, p2p::ip4(224, 0, 0, 1), 9222)}, 1), 0U) << "multicast";
  EXPECT_EQ(told({record(9, address_of(9).ip, 53)}, 1), 0U) << "a port of the system's services";
  EXPECT_EQ(told({record(9, address_of(9).ip, 9222)}, ~0ULL), 0U) << "an answer that never ends";
}

TEST_F(Attack, GarbageIsCountedAndNothingElse) {
  for (int i = 0; i < 20'000; ++i) {
    Bytes packet(net.random() % 1400);
    net.bytes()(packet);
    victim.service->on_packet(address_of(9), packet, net.now);
  }
  EXPECT_EQ(victim.service->stats().malformed, 20'000U);
  EXPECT_TRUE(sent().empty());
}

TEST_F(Attack, SessionsAreBounded) {
  // Real handshakes of many nodes, each from its own address.
  for (unsigned n = 100; n < 1400; ++n) {
    const auto key = key_of(n);
    const NodeId from = node_id_of(key.public_key());
    victim.service->on_packet(address_of(n), noise(from), net.now);
    for (const auto& s : sent()) {
      const auto challenge = decode_packet(from, s.packet);
      if (!challenge.ok()) continue;
      const auto keys = derive_keys(*key.ecdh(victim.service->local().public_key()), challenge->header, from, id);
      const Handshake h{from, key.sign(id_signature_digest(challenge->header, key.public_key(), id)), key.public_key(),
                        Enr::make(key, 1, fields_of(address_of(n))).encoded()};
      victim.service->on_packet(address_of(n), encode_handshake(id, {}, {}, h, keys.initiator, Ping{{1}, 1}), net.now);
    }
    net.now += absl::Milliseconds(10);
  }
  EXPECT_EQ(victim.service->stats().handshakes, 1300U);
  EXPECT_EQ(victim.service->sessions(), Service::kMaxSessions);
  EXPECT_LE(victim.service->table().size(), Table::kBuckets * Table::kBucketSize);
  EXPECT_EQ(victim.service->table().live(), 0U) << "they called us; none of them has answered";
}

}  // namespace
}  // namespace towline::discv5
