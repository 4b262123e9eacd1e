// Whole nodes that talk over simulated wires: from the first byte to a gossiped message, and peers that break off, come
// back, or send garbage.
#include "libs/p2p/node.hpp"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "libs/crypto/openssl.hpp"

namespace towline::p2p {
namespace {

class World;

/// A node that accepts every message and keeps it.
struct Member : Node::Handler {
  Member(unsigned i, absl::Time now, Node::Options options = {})
      : identity{*secp256k1::SecretKey::from(Bytes(32, static_cast<std::uint8_t>(i + 1)))},
        node{identity,
             [&] {
               if (options.topics.empty()) options.topics = {"/t"};
               options.agent = absl::StrCat("member ", i);
               return options;
             }(),
             {[](const std::string& t, BytesView data) {
                return Gossipsub::Identified{*MessageId::from(crypto::sha256({as_bytes(t), data}).view().first(20)),
                                             nullptr};
              },
              [](BytesView data) { return data.size(); }},
             *this,
             i,
             now} {}

  absl::Status admit(const PeerId& peer, const SocketAddress&, bool) override {
    return refused == peer ? absl::PermissionDeniedError("banned") : absl::OkStatus();
  }
  void on_peer_connected(const PeerId& peer, const SocketAddress&, bool) override { ++connected[peer]; }
  void on_peer_replaced(const PeerId&, const SocketAddress&, bool) override { ++replaced; }
  void on_peer_disconnected(const PeerId& peer, const absl::Status& why) override {
    --connected[peer];
    last_loss = why;
  }
  void on_bad_score(const PeerId&, double) override {}
  void validate(Gossipsub::Validation v) override {
    received.push_back(*v.data);
    todo.push_back(v.id);
  }

  Identity identity;
  std::map<PeerId, int> connected;
  std::optional<PeerId> refused;
  absl::Status last_loss;
  int replaced = 0;
  std::vector<Bytes> received;
  std::vector<MessageId> todo;
  Node node;
};

/// Carries bytes between members; a connection has the same number at both ends.
class World {
 public:
  absl::Time now = absl::FromUnixSeconds(1'700'000'000);
  std::vector<std::unique_ptr<Member>> members;
  std::mt19937_64 random{5};

  Member& add(Node::Options options = {}) {
    members.push_back(std::make_unique<Member>(static_cast<unsigned>(members.size()), now, options));
    return *members.back();
  }
  ConnectionId connect(Member& from, Member& to, std::optional<PeerId> expected = std::nullopt) {
    const ConnectionId id = ++last_;
    wires_[id] = {&from, &to};
    const auto port = static_cast<std::uint16_t>(id);
    from.node.add_connection(id, true, {ip4(10, 0, 0, 1), port}, expected ? expected : to.identity.peer_id(), now);
    to.node.add_connection(id, false, {ip4(10, 0, 0, 2), port}, {}, now);
    return id;
  }
  /// Runs until nothing moves.
  void settle() {
    for (bool moved = true; moved;) {
      moved = false;
      for (auto& m : members)
        for (const auto& id : std::exchange(m->todo, {})) m->node.validated(id, Gossipsub::Verdict::accept);
      for (const auto& [id, ends] : std::map{wires_}) {
        for (const auto& [from, to] : {std::pair{ends.first, ends.second}, std::pair{ends.second, ends.first}}) {
          Bytes out;
          from->node.output(id, out, 1 + random() % 70'000);
          if (!out.empty()) {
            moved = true;
            for (std::size_t at = 0; at < out.size();) {
              const std::size_t n = std::min<std::size_t>(1 + random() % 20'000, out.size() - at);
              to->node.on_bytes(id, BytesView{out}.subspan(at, n), now);
              at += n;
            }
          }
          if (!from->node.status(id).ok() && !from->node.wants_output(id) && wires_.contains(id)) {
            cut(id);
            moved = true;
          }
        }
      }
    }
  }
  void cut(ConnectionId id) {
    const auto ends = wires_.at(id);
    wires_.erase(id);
    ends.first->node.remove_connection(id, absl::UnavailableError("cut"), now);
    ends.second->node.remove_connection(id, absl::UnavailableError("cut"), now);
  }
  void pass(absl::Duration d) {
    for (const absl::Time end = now + d; now < end;) {
      now += absl::Milliseconds(250);
      for (auto& m : members) m->node.on_timer(now);
      settle();
    }
  }
  std::size_t wires() const { return wires_.size(); }

 private:
  std::map<ConnectionId, std::pair<Member*, Member*>> wires_;
  ConnectionId last_ = 0;
};

TEST(Node, TwoPeersIdentifyAndGossip) {
  World w;
  Member& a = w.add();
  Member& b = w.add();
  w.connect(a, b);
  w.settle();
  ASSERT_EQ(a.node.peers().size(), 1U);
  const auto seen = a.node.peers()[0];
  EXPECT_EQ(seen.id, b.identity.peer_id());
  EXPECT_EQ(seen.agent, "member 1");
  EXPECT_EQ(seen.protocol_version, "optimism");
  EXPECT_TRUE(seen.outbound);
  EXPECT_FALSE(b.node.peers()[0].outbound);
  EXPECT_EQ(b.node.peers()[0].agent, "member 0");
  EXPECT_EQ(seen.gossip.topics, std::vector<std::string>{"/t"});
  EXPECT_EQ(seen.protocols, (std::vector<std::string>{"/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0", "/ipfs/ping/1.0.0",
                                                      "/meshsub/1.2.0", "/meshsub/1.1.0", "/meshsub/1.0.0"}))
      << "and nothing else is served";
  w.pass(absl::Seconds(1));
  EXPECT_EQ(a.node.gossip().mesh_size(0), 1U);
  const Bytes block(300'000, 5);
  EXPECT_TRUE(a.node.publish(0, block, w.now));
  w.settle();
  EXPECT_EQ(b.received, std::vector<Bytes>{block});
  EXPECT_TRUE(a.received.empty());
}

TEST(Node, AMessageReachesEveryoneInALooseNetOnce) {
  World w;
  for (int i = 0; i < 20; ++i) w.add();
  for (std::size_t i = 1; i < w.members.size(); ++i)
    for (std::size_t j = 0; j < 3; ++j) {
      const std::size_t other = w.random() % i;
      if (!w.members[i]->node.connected(w.members[other]->identity.peer_id()))
        w.connect(*w.members[i], *w.members[other]);
      w.settle();
    }
  w.pass(absl::Seconds(5));
  for (std::uint8_t n = 0; n < 10; ++n) {
    EXPECT_TRUE(w.members[w.random() % 20]->node.publish(0, Bytes(5000, n), w.now));
    w.settle();
    w.pass(absl::Seconds(1));
  }
  std::size_t all = 0;
  for (const auto& m : w.members) {
    const std::set<Bytes> distinct{m->received.begin(), m->received.end()};
    EXPECT_EQ(distinct.size(), m->received.size()) << "checked twice";
    all += m->received.size();
  }
  EXPECT_EQ(all, 190U) << "each message at all but its publisher";
  for (const auto& m : w.members)
    for (const auto& p : m->node.peers()) EXPECT_GE(p.gossip.score, 0);
}

TEST(Node, OfTwoDialsAtOnceOneStays) {
  World w;
  Member& a = w.add();
  Member& b = w.add();
  w.connect(a, b);
  w.connect(b, a);
  w.settle();
  w.pass(absl::Seconds(2));
  EXPECT_EQ(w.wires(), 1U);
  EXPECT_EQ(a.node.peer_count(), 1U);
  EXPECT_EQ(b.node.peer_count(), 1U);
  EXPECT_NE(a.node.peers()[0].outbound, b.node.peers()[0].outbound);
  EXPECT_EQ(a.connected[b.identity.peer_id()], 1);
  EXPECT_TRUE(a.node.publish(0, Bytes(10, 1), w.now));
  w.settle();
  EXPECT_EQ(b.received.size(), 1U);
}

TEST(Node, AnAdmittedPeerThatComesBackReplacesItself) {
  World w;
  Member& a = w.add();
  Member& b = w.add();
  w.connect(a, b);
  w.settle();
  w.connect(a, b);  // b did not notice that the first connection was dead
  w.settle();
  EXPECT_EQ(w.wires(), 1U);
  EXPECT_EQ(b.connected[a.identity.peer_id()], 1);
  EXPECT_EQ(a.replaced, 1) << "a keeps the new one, too";
  w.pass(absl::Seconds(1));
  EXPECT_TRUE(b.node.publish(0, Bytes(10, 1), w.now));
  w.settle();
  EXPECT_EQ(a.received.size(), 1U);
}

TEST(Node, RefusesTheBannedTheWrongAndItself) {
  World w;
  Member& a = w.add();
  Member& b = w.add();
  b.refused = a.identity.peer_id();
  w.connect(a, b);
  w.settle();
  EXPECT_EQ(w.wires(), 0U);
  EXPECT_EQ(b.node.peer_count(), 0U);
  b.refused.reset();
  w.connect(a, b, w.add().identity.peer_id());
  w.settle();
  EXPECT_EQ(w.wires(), 0U);
  EXPECT_EQ(a.node.peer_count() + b.node.peer_count(), 0U);
}

TEST(Node, SilentHandshakesEnd) {
  World w;
  Member& a = w.add();
  a.node.add_connection(99, false, {ip4(10, 0, 0, 9), 1}, {}, w.now);
  Bytes out;
  a.node.output(99, out, 1000);
  a.node.on_bytes(99, Bytes{0x13, '/', 'm'}, w.now);  // and nothing more
  w.pass(absl::Seconds(9));
  EXPECT_TRUE(a.node.status(99).ok());
  w.pass(absl::Seconds(2));
  EXPECT_TRUE(absl::IsDeadlineExceeded(a.node.status(99)));
}

TEST(Node, GarbageAtEachStageEndsTheConnectionOnly) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random{seed};
  World w;
  Member& a = w.add();
  Member& honest = w.add();
  w.connect(a, honest);
  w.settle();
  for (int i = 0; i < 300; ++i) {
    // A good peer whose bytes are corrupted from some point on.
    Member bad{static_cast<unsigned>(100 + i % 100), w.now};
    const ConnectionId id = 1000 + static_cast<ConnectionId>(i);
    bad.node.add_connection(id, true, {ip4(10, 0, 0, 3), 1}, a.identity.peer_id(), w.now);
    a.node.add_connection(id, false, {ip4(10, 0, 0, 4), 1}, {}, w.now);
    std::size_t left = random() % 1500;
    for (int round = 0; round < 40; ++round) {
      Bytes out;
      bad.node.output(id, out, 5000);
      for (auto& x : out) {
        if (left > 0) --left;
        else x = static_cast<std::uint8_t>(random());
      }
      if (left == 0 && out.empty()) out.assign(50, static_cast<std::uint8_t>(random()));
      a.node.on_bytes(id, out, w.now);
      Bytes back;
      a.node.output(id, back, 5000);
      bad.node.on_bytes(id, back, w.now);
    }
  }
  // The beginning of a long message times out when the rest does not come.
  w.pass(absl::Seconds(60));
  for (ConnectionId id = 1000; id < 1300; ++id) {
    EXPECT_FALSE(a.node.status(id).ok()) << id;
    a.node.remove_connection(id, absl::OkStatus(), w.now);
  }
  EXPECT_EQ(a.node.peer_count(), 1U);
  w.pass(absl::Seconds(1));
  EXPECT_TRUE(honest.node.publish(0, Bytes(10, 1), w.now));
  w.settle();
  EXPECT_EQ(a.received.size(), 1U);
}

TEST(Node, UnfinishedMessagesOfAllPeersAreBounded) {
  World w;
  Node::Options options;
  options.max_inbound_bytes = 3U << 20U;
  Member& a = w.add(options);
  std::vector<Member*> others;
  for (int i = 0; i < 6; ++i) {
    others.push_back(&w.add());
    w.connect(*others.back(), a);
  }
  w.settle();
  w.pass(absl::Seconds(1));
  ASSERT_EQ(a.node.peer_count(), 6U);
  // Each sends a message of 1 MiB, but its last bytes never come: the wires are cut off there.
  for (Member* m : others)
    EXPECT_TRUE(m->node.publish(
        0, Bytes(1U << 20U, static_cast<std::uint8_t>(m->identity.peer_id().multihash().back())), w.now));
  for (const auto& [id, member] : [&] {
         std::vector<std::pair<ConnectionId, Member*>> v;
         for (std::size_t i = 0; i < others.size(); ++i) v.emplace_back(i + 1, others[i]);
         return v;
       }()) {
    std::size_t carried = 0;
    while (carried < 1'000'000) {
      Bytes out;
      member->node.output(id, out, 60'000);
      if (out.empty()) {
        Bytes back;
        a.node.output(id, back, 60'000);
        if (back.empty()) break;
        member->node.on_bytes(id, back, w.now);
        continue;
      }
      carried += out.size();
      a.node.on_bytes(id, out, w.now);
    }
  }
  int over = 0;
  for (ConnectionId id = 1; id <= 6; ++id) over += absl::IsResourceExhausted(a.node.status(id)) ? 1 : 0;
  EXPECT_GE(over, 2) << "the budget is three of them";
  EXPECT_LE(over, 4);
}

TEST(Node, AMessageThatDoesNotEndEndsTheConnection) {
  World w;
  Member& a = w.add();
  Member& b = w.add();
  const ConnectionId id = w.connect(a, b);
  w.settle();
  w.pass(absl::Seconds(1));
  ASSERT_TRUE(b.node.publish(0, Bytes(900'000, 1), w.now));
  std::size_t carried = 0;
  while (carried < 600'000) {  // and the rest never comes
    Bytes out;
    b.node.output(id, out, 30'000);
    carried += out.size();
    a.node.on_bytes(id, out, w.now);
    Bytes back;
    a.node.output(id, back, 30'000);
    b.node.on_bytes(id, back, w.now);
  }
  for (int i = 0; i < 70; ++i) {
    EXPECT_TRUE(a.node.status(id).ok() || i > 55) << i;
    w.now += absl::Milliseconds(500);
    a.node.on_timer(w.now);
    Bytes ping;
    a.node.output(id, ping, 1000);
  }
  EXPECT_FALSE(a.node.status(id).ok());
}

TEST(Node, WhoNeverSubscribesIsLetGo) {
  World w;
  Member& a = w.add();
  Member& b = w.add();
  Node::Options of_another_chain;
  of_another_chain.topics = {"/other"};
  Member& c = w.add(of_another_chain);
  w.connect(a, b);
  w.connect(a, c);
  w.settle();
  w.pass(absl::Seconds(58));
  EXPECT_EQ(a.node.peer_count(), 2U);
  w.pass(absl::Seconds(4));
  EXPECT_TRUE(a.node.connected(b.identity.peer_id()));
  EXPECT_FALSE(a.node.connected(c.identity.peer_id()));
  EXPECT_TRUE(absl::IsUnavailable(a.last_loss)) << a.last_loss;
}

TEST(Node, PeersAreToldOfANewAddress) {
  World w;
  Member& a = w.add();
  Member& b = w.add();
  w.connect(a, b);
  w.settle();
  Multiaddr address;
  address.ip = ip4(203, 0, 113, 7);
  address.tcp = 9222;
  a.node.set_listen_addrs({address}, w.now);
  w.settle();
  EXPECT_EQ(b.node.peers()[0].listen_addrs, (std::vector<Bytes>{address.encode()}));
  EXPECT_EQ(b.node.peers()[0].agent, "member 0");
}

TEST(Node, AReaderThatStandsStillIsLetGo) {
  World w;
  Member& a = w.add();
  Member& b = w.add();
  const ConnectionId id = w.connect(a, b);
  w.settle();
  w.pass(absl::Seconds(1));
  // b's side reads nothing any more, though a keeps sending.
  std::uint8_t n = 0;
  const absl::Time stop = w.now + absl::Seconds(60);
  while (w.now < stop && a.node.status(id).ok()) {
    w.now += absl::Milliseconds(500);
    (void)a.node.publish(0, Bytes(100'000, ++n), w.now);
    a.node.on_timer(w.now);
  }
  EXPECT_FALSE(a.node.status(id).ok());
}

}  // namespace
}  // namespace towline::p2p
