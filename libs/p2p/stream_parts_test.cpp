// The protocols on the streams of a session, each alone: identify and gossip.
#include <gtest/gtest.h>

#include "libs/p2p/gossip_streams.hpp"
#include "libs/p2p/remote_identify.hpp"

namespace towline::p2p {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'700'000'000);

PublicKey key_of(std::uint8_t n) { return PublicKey::of(secp256k1::SecretKey::from(Bytes(32, n))->public_key()); }

Bytes delimited(const Bytes& message) {
  Bytes out;
  append_delimited(message, out);
  return out;
}

Bytes identify(std::string agent, std::vector<std::string> protocols, Bytes key = {}) {
  Identify i;
  i.agent_version = std::move(agent);
  i.protocols = std::move(protocols);
  i.public_key = std::move(key);
  return delimited(i.encode());
}

TEST(RemoteIdentify, MergesPartsAndAPushKeepsTheAgent) {
  RemoteIdentify peer;
  RemoteIdentify::Stream first, push;
  Bytes both = identify("op-node", {"/a"}, key_of(1).encoded());
  const Bytes second = identify("", {"/b"});
  both.insert(both.end(), second.begin(), second.end());
  for (const std::uint8_t byte : both)
    EXPECT_EQ(*peer.on_data(first, Bytes{byte}, key_of(1)), RemoteIdentify::Next::read_on);
  EXPECT_TRUE(peer.speaks("/a"));
  EXPECT_TRUE(peer.speaks("/b"));
  EXPECT_EQ(*peer.on_data(push, identify("", {"/c"}), key_of(1)), RemoteIdentify::Next::read_on);
  EXPECT_EQ(peer.get().agent_version, "op-node");
  EXPECT_FALSE(peer.speaks("/a")) << "a push replaces the protocols";
  EXPECT_TRUE(peer.speaks("/c"));
}

TEST(RemoteIdentify, AnotherKeyEndsTheConnectionAndTooMuchTheStream) {
  RemoteIdentify peer;
  RemoteIdentify::Stream other_key, too_many, too_long;
  EXPECT_FALSE(peer.on_data(other_key, identify("x", {}, key_of(2).encoded()), key_of(1)).ok());
  for (int i = 1; i < RemoteIdentify::kMaxMessages; ++i)
    EXPECT_EQ(*peer.on_data(too_many, identify("x", {}), key_of(1)), RemoteIdentify::Next::read_on);
  EXPECT_EQ(*peer.on_data(too_many, identify("y", {}), key_of(1)), RemoteIdentify::Next::reset_stream);
  EXPECT_EQ(peer.get().agent_version, "y") << "the last one still counts";
  const Bytes large = delimited(Bytes(RemoteIdentify::kMaxMessage + 1, 0));
  EXPECT_EQ(*peer.on_data(too_long, large, key_of(1)), RemoteIdentify::Next::reset_stream);
}

TEST(GossipStreams, CountsWhatHasArrivedInPartAndGivesItHalfAMinute) {
  std::size_t in_all = 0;
  GossipStreams streams{in_all}, other{in_all};
  int rpcs = 0;
  const auto on_rpc = [&](BytesView) {
    ++rpcs;
    return absl::OkStatus();
  };
  const Bytes rpc = delimited(Bytes(100, 1));
  EXPECT_TRUE(streams.on_data(BytesView{rpc}.first(50), kStart, on_rpc).ok());
  EXPECT_TRUE(other.on_data(BytesView{rpc}.first(10), kStart, on_rpc).ok());
  EXPECT_EQ(in_all, streams.buffered() + other.buffered());
  EXPECT_GT(streams.buffered(), 0U);
  EXPECT_TRUE(streams.check_in(kStart + GossipStreams::kRpcTime).ok());
  EXPECT_FALSE(streams.check_in(kStart + GossipStreams::kRpcTime + absl::Seconds(1)).ok());
  EXPECT_TRUE(streams.on_data(BytesView{rpc}.subspan(50), kStart, on_rpc).ok());
  EXPECT_EQ(rpcs, 1);
  EXPECT_TRUE(streams.check_in(kStart + absl::Hours(1)).ok());
  other.lose_in();
  EXPECT_EQ(in_all, 0U);
  EXPECT_EQ(streams.on_data(rpc, kStart, [](BytesView) { return absl::InternalError("x"); }).message(), "x");
}

TEST(GossipStreams, ALostStreamIsOpenedAgainAtOnceButNotForEver) {
  std::size_t in_all = 0;
  GossipStreams streams{in_all};
  EXPECT_FALSE(streams.reopen_due(kStart));
  for (int i = 0; i < 5; ++i) {
    streams.on_out_open(1);
    streams.on_out_gone(kStart);
    EXPECT_TRUE(streams.reopen_due(kStart)) << i;
    EXPECT_FALSE(streams.reopen_due(kStart)) << "once";
  }
  streams.on_out_open(1);
  streams.on_out_gone(kStart);
  EXPECT_FALSE(streams.reopen_due(kStart + absl::Seconds(29)));
  EXPECT_TRUE(streams.reopen_due(kStart + GossipStreams::kReopenLater));
  // Refused: opened again later, or as soon as the peer says that it speaks gossip.
  streams.on_out_gone(kStart);
  EXPECT_FALSE(streams.reopen_due(kStart));
  streams.reopen_soon(kStart);
  EXPECT_TRUE(streams.reopen_due(kStart));
  streams.reopen_soon(kStart);
  EXPECT_FALSE(streams.reopen_due(kStart)) << "nothing waits";
}

TEST(GossipStreams, ASlowReaderGetsLessAndThenGoes) {
  std::size_t in_all = 0;
  GossipStreams streams{in_all};
  streams.start(kStart);
  const absl::Time late = kStart + absl::Seconds(31);
  const struct {
    std::size_t queued;
    absl::Time now;
    bool kept;
  } rows[] = {{100, kStart, true},
              {GossipStreams::kMaxQueuedWithControl + 1, kStart, false},
              {200, late, true} /* it has shrunk */,
              {200, late + absl::Seconds(30), true},
              {200, late + absl::Seconds(31), false},
              {0, late + absl::Seconds(90), true}};
  for (const auto& r : rows) EXPECT_EQ(streams.check_out(r.queued, r.now).ok(), r.kept) << r.queued << " " << r.now;
  EXPECT_TRUE(GossipStreams::drops(true, GossipStreams::kMaxQueued + 1));
  EXPECT_FALSE(GossipStreams::drops(true, GossipStreams::kMaxQueued));
  EXPECT_FALSE(GossipStreams::drops(false, GossipStreams::kMaxQueued + 1));
}

}  // namespace
}  // namespace towline::p2p
