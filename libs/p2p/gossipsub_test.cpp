// The router against scripted peers: mesh, forwarding, gossip, back-off, scores and the bounds against floods.
#include "libs/p2p/gossipsub.hpp"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <map>

#include "libs/crypto/openssl.hpp"

namespace towline::p2p {
namespace {

using Version = Gossipsub::Version;
using Verdict = Gossipsub::Verdict;

PeerId peer_id(unsigned i) {
  Bytes secret(32, 1);
  secret[30] = static_cast<std::uint8_t>(i >> 8U);
  secret[31] = static_cast<std::uint8_t>(i);
  return PublicKey::of(secp256k1::SecretKey::from(secret)->public_key()).peer_id();
}

MessageId id_of(const std::string& topic, BytesView data) {
  return *MessageId::from(crypto::sha256({as_bytes(topic), data}).view().first(20));
}

/// The first byte of a message is its decoded size in MiB.
std::size_t decoded_size(BytesView data) {
  return data.empty() || data[0] > 10 ? data.size() : std::size_t{data[0]} << 20U;
}

class GossipsubTest : public ::testing::Test, public Gossipsub::Handler {
 protected:
  const std::string topic = "/t/0", other_topic = "/t/1";
  absl::Time now = absl::FromUnixSeconds(1'700'000'000);
  std::optional<Gossipsub> router_;
  std::map<PeerId, std::vector<Bytes>> sent;
  std::vector<Gossipsub::Validation> waiting;
  std::map<PeerId, double> bad;
  /// The decoded size in multiples of its size.
  std::size_t unpacks_to = 1;

  void start(Gossipsub::Params params = {}) {
    router_.emplace(
        params, std::vector{topic, other_topic},
        Gossipsub::Codec{
            [](const std::string& t, BytesView data) {
              return Gossipsub::Identified{id_of(t, data), std::make_shared<const Bytes>(data.begin(), data.end())};
            },
            [](BytesView data) { return decoded_size(data); }},
        *this, 7);
  }
  Gossipsub& router() { return *router_; }
  void send(const PeerId& to, SharedBytes frame, bool) override { sent[to].push_back(*frame); }
  void validate(Gossipsub::Validation v) override { waiting.push_back(std::move(v)); }
  void on_bad_score(const PeerId& peer, double score) override { bad[peer] = score; }

  PeerId join(unsigned i, bool subscribed = true, bool outbound = true, Version v = Version::v1_2) {
    const PeerId p = peer_id(i);
    Ip ip = ip4(10, 0, static_cast<std::uint8_t>(i >> 8U), static_cast<std::uint8_t>(i));
    router().add_peer(p, outbound, ip, now);
    router().peer_writable(p, v);
    if (subscribed) {
      Bytes rpc;
      GossipRpcWriter::subscription(topic, true, rpc);
      EXPECT_TRUE(router().on_rpc(p, rpc, now).ok());
    }
    return p;
  }
  void beat(int n = 1) {
    for (; n > 0; --n) {
      now += absl::Milliseconds(500);
      router().on_heartbeat(now);
    }
  }
  void message(const PeerId& from, const Bytes& data, const std::string& on = "/t/0") {
    Bytes rpc;
    GossipRpcWriter::message(on, data, rpc);
    ASSERT_TRUE(router().on_rpc(from, rpc, now).ok());
  }
  void control(const PeerId& from, const GossipRpcWriter::Control& c) {
    Bytes rpc;
    GossipRpcWriter::control(c, rpc);
    ASSERT_TRUE(router().on_rpc(from, rpc, now).ok());
  }
  void verdict(Verdict v) {
    for (const auto& w : std::exchange(waiting, {})) router().validated(w.id, v);
  }
  /// The parts of all RPCs that a peer was sent since the last call.
  struct Got {
    std::size_t messages = 0, subscriptions = 0, have = 0, want = 0, dont_want = 0;
    std::vector<std::string> graft, prune;
    std::vector<std::optional<std::uint64_t>> backoff;
  };
  Got got(const PeerId& p) {
    Got out;
    for (const auto& frame : std::exchange(sent[p], {})) {
      DelimitedReader r{1U << 24U};
      r.append(frame);
      const auto m = r.next();
      const auto rpc = GossipRpc::parse(**m);
      out.messages += rpc->messages.size();
      out.subscriptions += rpc->subscriptions.size();
      for (const auto& h : rpc->have) out.have += h.ids.size();
      out.want += rpc->want.size();
      out.dont_want += rpc->dont_want.size();
      for (const auto& g : rpc->graft) out.graft.emplace_back(g);
      for (const auto& x : rpc->prune) {
        out.prune.emplace_back(x.topic);
        out.backoff.push_back(x.backoff_s);
      }
    }
    return out;
  }
  std::vector<PeerId> join_many(unsigned n, bool outbound = true) {
    std::vector<PeerId> out;
    for (unsigned i = 1; i <= n; ++i) out.push_back(join(i, true, outbound));
    return out;
  }
};

TEST_F(GossipsubTest, SaysItsTopicsFirstAndMakesAMesh) {
  start();
  const auto peers = join_many(20);
  EXPECT_EQ(got(peers[0]).subscriptions, 2U);
  beat();
  EXPECT_EQ(router().mesh_size(0), 8U);
  EXPECT_EQ(router().mesh_size(1), 0U) << "nobody has that topic";
  std::size_t grafts = 0;
  for (const auto& p : peers) grafts += got(p).graft.size();
  EXPECT_EQ(grafts, 8U);
}

TEST_F(GossipsubTest, ForwardsWhatIsAcceptedToTheMeshButNotBack) {
  start();
  const auto peers = join_many(5);
  beat();
  sent.clear();
  message(peers[0], Bytes(100, 1));
  message(peers[1], Bytes(100, 1));
  ASSERT_EQ(waiting.size(), 1U) << "the copy is not checked again";
  for (const auto& p : peers) EXPECT_EQ(got(p).messages, 0U) << "not before the verdict";
  verdict(Verdict::accept);
  EXPECT_EQ(got(peers[0]).messages + got(peers[1]).messages, 0U) << "they have it";
  for (int i = 2; i < 5; ++i) EXPECT_EQ(got(peers[static_cast<std::size_t>(i)]).messages, 1U);
  EXPECT_EQ(router().view(peers[0]).accepted, 1U);
  message(peers[3], Bytes(100, 1));
  EXPECT_TRUE(waiting.empty());
}

TEST_F(GossipsubTest, NothingIsForwardedThatIsIgnoredOrRejected) {
  start();
  const auto peers = join_many(3);
  beat();
  sent.clear();
  message(peers[0], Bytes(10, 1));
  verdict(Verdict::ignore);
  EXPECT_EQ(router().score(peers[0]), 0);
  message(peers[0], Bytes(10, 2));
  message(peers[1], Bytes(10, 2));
  verdict(Verdict::reject);
  EXPECT_LT(router().score(peers[0]), 0);
  EXPECT_LT(router().score(peers[1]), 0) << "both brought it";
  EXPECT_EQ(got(peers[2]).messages, 0U);
}

TEST_F(GossipsubTest, TenBadMessagesBan) {
  start();
  const auto p = join(1);
  for (std::uint8_t i = 0; i < 40; ++i) {
    message(p, Bytes(10, i));
    verdict(Verdict::accept);
  }
  EXPECT_GT(router().score(p), 0);
  for (std::uint8_t i = 100; i < 110; ++i) {
    message(p, Bytes(10, i));
    verdict(Verdict::reject);
  }
  beat();
  EXPECT_TRUE(bad.contains(p)) << router().score(p);
  EXPECT_EQ(router().mesh_size(0), 0U);
}

TEST_F(GossipsubTest, NobodyIsPunishedWhileItMayBeOurMistake) {
  start();
  const auto p = join(1);
  router().suspend_penalties(true);
  for (std::uint8_t i = 0; i < 20; ++i) {
    message(p, Bytes(10, i));
    verdict(Verdict::reject);
  }
  EXPECT_EQ(router().score(p), 0);
}

TEST_F(GossipsubTest, SignedMessagesAreRefused) {
  start();
  const auto p = join(1);
  Bytes m;
  pb::Writer w{m};
  w.bytes(1, {});
  w.bytes(2, Bytes(5, 1));
  w.string(4, topic);
  Bytes rpc;
  pb::Writer{rpc}.bytes(2, m);
  ASSERT_TRUE(router().on_rpc(p, rpc, now).ok());
  EXPECT_TRUE(waiting.empty());
  EXPECT_EQ(router().stats().refused_signed, 1U);
}

TEST_F(GossipsubTest, TellsOthersOfMessagesAndServesThemThreeTimes) {
  start();
  const auto peers = join_many(30);
  beat();
  message(peers[0], Bytes(10, 1));
  verdict(Verdict::accept);
  sent.clear();
  beat();
  std::vector<PeerId> told;
  for (const auto& p : peers) {
    const bool in_mesh = !router().view(p).mesh.empty();
    const auto g = got(p);
    EXPECT_TRUE(!in_mesh || g.have == 0);
    if (g.have > 0) told.push_back(p);
  }
  EXPECT_EQ(told.size(), 6U) << "Dlazy";
  const Bytes data(10, 1);
  const MessageId id = id_of(topic, data);
  GossipRpcWriter::Control want;
  want.want.push_back(id.view());
  for (int i = 0; i < 5; ++i) control(told[0], want);
  EXPECT_EQ(got(told[0]).messages, 3U);
  beat(13);
  EXPECT_EQ(router().cache_bytes(), 0U);
  control(told[1], want);
  EXPECT_EQ(got(told[1]).messages, 0U) << "it is forgotten";
}

TEST_F(GossipsubTest, AsksForWhatItDoesNotHaveAndRemembersBrokenPromises) {
  start();
  const auto p = join(1), q = join(2);
  beat();
  sent.clear();
  const Bytes data(10, 1);
  const MessageId known = id_of(topic, data);
  GossipRpcWriter::Control have;
  have.have.push_back({topic, {known.view()}});
  control(p, have);
  EXPECT_EQ(got(p).want, 1U);
  control(q, have);
  EXPECT_EQ(got(q).want, 0U) << "it was asked of the other";
  message(q, data);
  verdict(Verdict::accept);
  beat(8);
  EXPECT_EQ(router().view(p).behaviour, 0) << "whoever brought it, it is here";
  // Eight promised messages that never come.
  for (std::uint8_t i = 10; i < 18; ++i) {
    const MessageId id = id_of(topic, Bytes(10, i));
    GossipRpcWriter::Control c;
    c.have.push_back({topic, {id.view()}});
    control(p, c);
  }
  beat(7);
  EXPECT_GT(router().view(p).behaviour, 6);
  EXPECT_LT(router().score(p), 0);
  EXPECT_EQ(router().stats().broken_promises, 8U);
}

TEST_F(GossipsubTest, AsksAnotherWhenTheFirstDoesNotBringItAtOnce) {
  start();
  const auto liar = join(1), honest = join(2);
  beat();
  sent.clear();
  const MessageId id = id_of(topic, Bytes(10, 1));
  GossipRpcWriter::Control have;
  have.have.push_back({topic, {id.view()}});
  control(liar, have);
  control(honest, have);
  EXPECT_EQ(got(liar).want, 1U);
  EXPECT_EQ(got(honest).want, 0U);
  beat();
  control(liar, have);
  control(honest, have);
  EXPECT_EQ(got(liar).want, 0U) << "it has promised it already";
  EXPECT_EQ(got(honest).want, 1U);
}

TEST_F(GossipsubTest, APeerThatNamesMessagesOtherwiseKeepsItsWord) {
  start();
  const auto p = join(1);
  beat();
  for (std::uint8_t i = 20; i < 40; ++i) {
    const MessageId other_name = id_of("", Bytes(10, i));
    GossipRpcWriter::Control have;
    have.have.push_back({topic, {other_name.view()}});
    control(p, have);
    message(p, Bytes(10, i));
    verdict(Verdict::accept);
    beat();
  }
  beat(10);
  EXPECT_EQ(router().stats().broken_promises, 0U);
  EXPECT_GE(router().score(p), 0);
}

TEST_F(GossipsubTest, CopiesOfARefusedMessageCostAsMuchAsTheFirst) {
  start();
  const auto p = join(1), q = join(2);
  message(p, Bytes(10, 20));
  verdict(Verdict::reject);
  const double before = router().score(p);
  for (int i = 0; i < 3; ++i) message(p, Bytes(10, 20));
  EXPECT_LT(router().score(p), before);
  message(q, Bytes(10, 20));
  EXPECT_LT(router().score(q), 0);
  EXPECT_TRUE(waiting.empty()) << "it is not checked again";
}

TEST_F(GossipsubTest, WhatAMessageWouldDecodeToIsWhatItCosts) {
  start();
  const auto p = join(1);
  // A few bytes that become 10 MiB, again and again.
  for (int i = 0; i < 100; ++i) message(p, Bytes(10, 10));
  verdict(Verdict::ignore);
  EXPECT_LE(router().stats().duplicates, 2U);
  EXPECT_GE(router().stats().throttled, 97U);
  now += absl::Seconds(2);
  message(p, Bytes(10, 10));
  EXPECT_LE(router().stats().duplicates, 3U) << "two seconds are worth one more";
}

TEST_F(GossipsubTest, WhatWaitsOfAFloodLeavesRoomForOthers) {
  start();
  const auto flooder = join(1), honest = join(2);
  for (std::uint8_t i = 0; i < 200; ++i) message(flooder, Bytes(8, static_cast<std::uint8_t>(50 + i)));
  EXPECT_EQ(waiting.size(), 64U);
  message(honest, Bytes(9, 20));
  EXPECT_EQ(waiting.size(), 65U);
  verdict(Verdict::ignore);
  // Both forms of a message count, and the last 8 of 32 MiB are for peers of which nothing waits.
  now += absl::Seconds(10);
  for (std::uint8_t i = 0; i < 20; ++i) message(flooder, Bytes(1U << 20U, static_cast<std::uint8_t>(50 + i)));
  EXPECT_EQ(waiting.size(), 12U);
  message(honest, Bytes(1U << 20U, 20));
  EXPECT_EQ(waiting.size(), 13U);
  verdict(Verdict::ignore);
  // The largest message that is allowed.
  now += absl::Seconds(10);
  message(flooder, Bytes(10U << 20U, 99));
  EXPECT_EQ(waiting.size(), 1U);
}

TEST_F(GossipsubTest, WhatGetsNoVerdictDoesNotStayForEver) {
  start();
  const auto p = join(1);
  for (std::uint8_t i = 0; i < 64; ++i) message(p, Bytes(8, static_cast<std::uint8_t>(50 + i)));
  message(p, Bytes(8, 20));
  ASSERT_EQ(waiting.size(), 64U);
  waiting.clear();
  beat(21);
  message(p, Bytes(9, 20));
  EXPECT_EQ(waiting.size(), 1U);
}

TEST_F(GossipsubTest, StrangersThatLeaveDoNotMakeItForgetWhomItMayNotGraft) {
  start();
  const auto p = join(5000);
  beat();
  ASSERT_EQ(router().mesh_size(0), 1U);
  GossipRpcWriter::Control prune;
  prune.prune.push_back({topic, 60});
  control(p, prune);
  ASSERT_EQ(router().mesh_size(0), 0U);
  GossipRpcWriter::Control flood;
  for (const auto& t : {topic, other_topic}) flood.prune.push_back({t, 3600});
  for (unsigned i = 1; i < 4999; ++i) {
    const auto stranger = join(i, false);
    control(stranger, flood);
    router().remove_peer(stranger, now);
  }
  const auto late = join(4999);
  beat();
  control(late, prune);
  sent.clear();
  beat(10);
  EXPECT_TRUE(got(p).graft.empty());
  EXPECT_TRUE(got(late).graft.empty());
}

TEST_F(GossipsubTest, IhaveFloodsAreIgnored) {
  start();
  const auto p = join(1);
  sent.clear();
  std::vector<Bytes> ids;
  for (unsigned i = 0; i < 8000; ++i) {
    Bytes id(20, 0);
    id[0] = static_cast<std::uint8_t>(i);
    id[1] = static_cast<std::uint8_t>(i >> 8U);
    ids.push_back(id);
  }
  GossipRpcWriter::Control c;
  c.have.push_back({topic, {ids.begin(), ids.end()}});
  control(p, c);
  EXPECT_EQ(got(p).want, 5000U);
  control(p, c);
  EXPECT_EQ(got(p).want, 0U);
}

TEST_F(GossipsubTest, BackOffIsKeptBothWays) {
  start();
  const auto p = join(1);
  beat();
  ASSERT_EQ(router().mesh_size(0), 1U);
  sent.clear();
  GossipRpcWriter::Control prune;
  prune.prune.push_back({topic, 60});
  control(p, prune);
  EXPECT_EQ(router().mesh_size(0), 0U);
  beat(120);
  EXPECT_TRUE(got(p).graft.empty()) << "never inside the peer's back-off";
  beat(6);
  EXPECT_EQ(got(p).graft.size(), 1U);

  // A peer that we pruned grafts at once: refused, with two penalties because it came so soon.
  const auto q = join(2);
  control(p, prune);
  GossipRpcWriter::Control huge;
  huge.prune.push_back({topic, ~0ULL});
  control(q, huge);
  EXPECT_EQ(router().view(q).behaviour, 0);
  GossipRpcWriter::Control graft;
  graft.graft.push_back(topic);
  sent.clear();
  control(q, graft);
  EXPECT_GE(router().view(q).behaviour, 1);
  const auto g = got(q);
  ASSERT_EQ(g.prune.size(), 1U);
  EXPECT_EQ(g.backoff[0], 60U);
  EXPECT_EQ(router().mesh_size(0), 0U);
}

TEST_F(GossipsubTest, GraftFloodsCostTheScore) {
  start();
  const auto p = join(1);
  GossipRpcWriter::Control prune, graft;
  prune.prune.push_back({topic, 60});
  graft.graft.push_back(topic);
  control(p, prune);
  for (int i = 0; i < 10; ++i) control(p, graft);
  EXPECT_LT(router().score(p), -40) << "graylisted";
  GossipRpcWriter::Control unknown;
  unknown.graft.emplace_back("/unknown");
  const auto q = join(2);
  sent.clear();
  control(q, unknown);
  EXPECT_TRUE(got(q).prune.empty()) << "no answer helps to find out our topics";
}

TEST_F(GossipsubTest, AFullMeshTakesNoMoreThatDialledUs) {
  start();
  join_many(12, false);
  GossipRpcWriter::Control graft;
  graft.graft.push_back(topic);
  for (unsigned i = 1; i <= 12; ++i) control(peer_id(i), graft);
  EXPECT_EQ(router().mesh_size(0), 12U);
  const auto late = join(50, true, false);
  sent.clear();
  control(late, graft);
  EXPECT_EQ(router().mesh_size(0), 12U);
  EXPECT_EQ(got(late).prune.size(), 1U);
  const auto ours = join(51, true, true);
  control(ours, graft);
  EXPECT_EQ(router().mesh_size(0), 13U) << "whom we dialled ourselves is let in, and the heartbeat makes room";
  beat();
  EXPECT_EQ(router().mesh_size(0), 8U);
}

TEST_F(GossipsubTest, IdontwantIsSentEarlyAndHonoured) {
  start();
  const auto peers = join_many(4);
  const auto old = join(9, true, true, Version::v1_1);
  beat();
  sent.clear();
  const Bytes large(2000, 1);
  message(peers[0], large);
  EXPECT_EQ(got(peers[0]).dont_want, 0U);
  EXPECT_EQ(got(peers[1]).dont_want, 1U) << "before the verdict";
  EXPECT_EQ(got(old).dont_want, 0U) << "it does not know that message";
  const MessageId id = id_of(topic, large);
  GossipRpcWriter::Control c;
  c.dont_want.push_back(id.view());
  control(peers[2], c);
  verdict(Verdict::accept);
  EXPECT_EQ(got(peers[1]).messages, 1U);
  EXPECT_EQ(got(peers[2]).messages, 0U);
  EXPECT_EQ(got(old).messages, 1U);
}

TEST_F(GossipsubTest, FloodsOfMessagesAreThrottledAndStillTakenFromOthers) {
  start();
  const auto flooder = join(1), honest = join(2);
  for (unsigned i = 0; i < 2000; ++i) {
    Bytes data(8, 0);
    data[0] = static_cast<std::uint8_t>(i);
    data[1] = static_cast<std::uint8_t>(i >> 8U);
    message(flooder, data);
  }
  EXPECT_LE(waiting.size(), 256U);
  EXPECT_GT(router().stats().throttled, 1000U);
  verdict(Verdict::ignore);
  Bytes last(8, 0);
  last[0] = static_cast<std::uint8_t>(1999U & 0xffU);
  last[1] = static_cast<std::uint8_t>(1999U >> 8U);
  message(honest, last);
  EXPECT_EQ(waiting.size(), 1U) << "a message that was thrown away is not one that was seen";
}

TEST_F(GossipsubTest, PublishesToTheMeshOrToWhomeverThereIs) {
  start();
  const auto a = join(1), b = join(2), deaf = join(3, false);
  sent.clear();
  EXPECT_TRUE(router().publish(0, Bytes(10, 1), now));
  EXPECT_EQ(got(a).messages + got(b).messages, 2U) << "no mesh yet";
  EXPECT_EQ(got(deaf).messages, 0U);
  EXPECT_FALSE(router().publish(0, Bytes(10, 1), now)) << "seen";
  beat();
  sent.clear();
  EXPECT_TRUE(router().publish(0, Bytes(10, 2), now));
  EXPECT_EQ(got(a).messages + got(b).messages, 2U);
}

TEST_F(GossipsubTest, ABadNameOutlivesTheConnection) {
  start();
  const auto p = join(1);
  for (std::uint8_t i = 0; i < 3; ++i) {
    message(p, Bytes(10, i));
    verdict(Verdict::reject);
  }
  const double score = router().score(p);
  router().remove_peer(p, now);
  EXPECT_EQ(router().score(p), 0);
  join(1);
  EXPECT_EQ(router().score(p), score);
}

TEST_F(GossipsubTest, ManyBehindOneAddressAreMistrusted) {
  start();
  for (unsigned i = 1; i <= 12; ++i) router().add_peer(peer_id(i), false, ip4(10, 0, 0, 1), now);
  EXPECT_EQ(router().score(peer_id(1)), -35.0 * 4);
  router().remove_peer(peer_id(2), now);
  router().remove_peer(peer_id(3), now);
  EXPECT_EQ(router().score(peer_id(1)), 0);
  for (unsigned i = 101; i <= 120; ++i) router().add_peer(peer_id(i), false, ip4(127, 0, 0, 1), now);
  EXPECT_EQ(router().score(peer_id(101)), 0) << "loopback is exempt";
}

}  // namespace
}  // namespace towline::p2p
