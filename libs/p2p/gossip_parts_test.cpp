// The parts of the gossipsub router, each alone: what they decide, and that their bounds hold.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "libs/p2p/backoff_table.hpp"
#include "libs/p2p/mesh.hpp"
#include "libs/p2p/message_cache.hpp"
#include "libs/p2p/peer_score.hpp"
#include "libs/p2p/promises.hpp"
#include "libs/p2p/seen_cache.hpp"
#include "libs/p2p/validation_queue.hpp"

namespace towline::p2p {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'700'000'000);

PeerId peer_id(unsigned i) {
  Bytes multihash(34, 1);
  multihash[0] = 0x12;
  multihash[1] = 0x20;
  multihash[32] = static_cast<std::uint8_t>(i >> 8U);
  multihash[33] = static_cast<std::uint8_t>(i);
  return *PeerId::from(multihash);
}

MessageId message_id(unsigned i) {
  MessageId id{};
  for (unsigned b = 0; b < 4; ++b) id.bytes[b] = static_cast<std::uint8_t>(i >> (8 * b));
  return id;
}

SharedBytes bytes(std::size_t n) { return std::make_shared<const Bytes>(n, std::uint8_t{1}); }

TEST(SeenCache, ForgetsAfterItsTimeAndTheOldestWhenItIsFull) {
  SeenCache seen;
  seen.add(message_id(1), kStart);
  seen.mark_rejected(message_id(1));
  seen.mark_rejected(message_id(2));
  EXPECT_TRUE(seen.is_rejected(message_id(1)));
  EXPECT_FALSE(seen.contains(message_id(2))) << "only a seen message can be rejected";
  seen.expire(kStart + SeenCache::kLifetime);
  EXPECT_TRUE(seen.contains(message_id(1)));
  seen.expire(kStart + SeenCache::kLifetime + absl::Milliseconds(1));
  EXPECT_FALSE(seen.contains(message_id(1)));
  for (unsigned i = 0; i <= SeenCache::kMaxEntries; ++i) seen.add(message_id(i), kStart);
  EXPECT_FALSE(seen.contains(message_id(0)));
  EXPECT_TRUE(seen.contains(message_id(1)));
  EXPECT_FALSE(seen.is_rejected(message_id(1)));
}

TEST(MessageCache, AnnouncesForThreeHeartbeatsAndServesForTwelve) {
  MessageCache cache{1000};
  cache.put(message_id(1), 0, bytes(100));
  for (std::uint64_t beat = 0; beat <= 13; ++beat) {
    EXPECT_EQ(cache.gossip_ids(0, 10).size(), beat <= 3 ? 1U : 0U) << beat;
    EXPECT_EQ(cache.get(message_id(1)) != nullptr, beat <= 12) << beat;
    EXPECT_TRUE(cache.gossip_ids(1, 10).empty());
    cache.shift();
  }
  EXPECT_EQ(cache.bytes(), 0U);
}

TEST(MessageCache, TheOldestMakesRoomAndTheNewestStays) {
  MessageCache cache{1000};
  for (unsigned i = 0; i < 5; ++i) cache.put(message_id(i), 0, bytes(400));
  EXPECT_EQ(cache.bytes(), 800U);
  EXPECT_FALSE(cache.contains(message_id(2)));
  EXPECT_TRUE(cache.contains(message_id(3)));
  cache.put(message_id(9), 0, bytes(5000));
  EXPECT_EQ(cache.bytes(), 5000U);
  EXPECT_TRUE(cache.contains(message_id(9)));
}

TEST(BackoffTable, WeWaitLongerThanThePeerAndTheLongerBackoffStays) {
  BackoffTable table{[](const PeerId&) { return true; }};
  const PeerId p = peer_id(1);
  table.add(0, p, absl::Seconds(60), kStart);
  table.add(0, p, absl::Seconds(10), kStart);
  const struct {
    int second;
    bool we_wait;
    int left_for_peer;
  } rows[] = {{0, true, 60}, {59, true, 1}, {60, true, 0}, {61, true, 0}, {62, false, 0}};
  for (const auto& r : rows) {
    const absl::Time now = kStart + absl::Seconds(r.second);
    EXPECT_EQ(table.active(0, p, now), r.we_wait) << r.second;
    EXPECT_EQ(table.left_for_peer(0, p, now), absl::Seconds(r.left_for_peer)) << r.second;
  }
  EXPECT_FALSE(table.active(1, p, kStart)) << "another topic";
}

TEST(BackoffTable, DisconnectedPeersMakeRoom) {
  const PeerId late = peer_id(60000);
  const auto connected = [&](const PeerId& p) { return p == peer_id(0) || p == late; };
  BackoffTable table{connected};
  for (unsigned i = 0; i < BackoffTable::kMaxEntries; ++i) table.add(0, peer_id(i), absl::Seconds(60), kStart);
  table.add(0, late, absl::Seconds(60), kStart);
  EXPECT_TRUE(table.active(0, peer_id(0), kStart));
  EXPECT_TRUE(table.active(0, late, kStart));
  EXPECT_FALSE(table.active(0, peer_id(1), kStart));
}

TEST(BackoffTable, WithoutRoomANewBackoffIsNotRecorded) {
  BackoffTable table{[](const PeerId&) { return true; }};
  for (unsigned i = 0; i < BackoffTable::kMaxEntries; ++i) table.add(0, peer_id(i), absl::Seconds(60), kStart);
  table.add(0, peer_id(60000), absl::Seconds(60), kStart);
  EXPECT_FALSE(table.active(0, peer_id(60000), kStart));
  EXPECT_TRUE(table.active(0, peer_id(1), kStart));
  table.add(0, peer_id(60000), absl::Seconds(60), kStart + absl::Seconds(63));
  EXPECT_TRUE(table.active(0, peer_id(60000), kStart + absl::Seconds(63))) << "the others are over";
}

TEST(Promises, AreBrokenAfterThreeSecondsUnlessTheMessageHasCome) {
  Promises promises;
  SeenCache seen;
  const PeerId p = peer_id(1), q = peer_id(2);
  promises.add(p, message_id(1), kStart);
  promises.add(p, message_id(2), kStart);
  promises.add(q, message_id(2), kStart);
  seen.add(message_id(1), kStart);
  EXPECT_TRUE(promises.expire(seen, kStart + absl::Milliseconds(2999)).empty());
  auto broken = promises.expire(seen, kStart + absl::Seconds(3));
  std::sort(broken.begin(), broken.end());
  EXPECT_EQ(broken, (std::vector{p, q}));
  EXPECT_TRUE(promises.expire(seen, kStart + absl::Seconds(9)).empty()) << "each counts once";
}

TEST(Promises, ADeliveryUnderAnotherIdKeepsTheOldest) {
  Promises promises;
  const PeerId p = peer_id(1);
  promises.add(p, message_id(1), kStart);
  promises.add(p, message_id(2), kStart);
  promises.add(p, message_id(3), kStart);
  promises.delivered(p, message_id(2));
  promises.delivered(p, message_id(99));
  promises.delivered(peer_id(2), message_id(3));
  EXPECT_EQ(promises.expire(SeenCache{}, kStart + absl::Seconds(3)).size(), 1U);
  promises.add(p, message_id(4), kStart);
  promises.remove_peer(p);
  EXPECT_TRUE(promises.expire(SeenCache{}, kStart + absl::Seconds(3)).empty());
  for (unsigned i = 0; i < 1000; ++i) promises.add(p, message_id(i), kStart);
  EXPECT_EQ(promises.expire(SeenCache{}, kStart + absl::Seconds(3)).size(), Promises::kMaxPerPeer);
}

TEST(Promises, OnePeerIsAskedAtATime) {
  Promises promises;
  const PeerId p = peer_id(1), q = peer_id(2);
  const MessageId id = message_id(1);
  promises.asked(id, kStart);
  promises.add(p, id, kStart);
  EXPECT_FALSE(promises.may_ask(q, id, kStart + absl::Milliseconds(399)));
  EXPECT_TRUE(promises.may_ask(q, id, kStart + absl::Milliseconds(400)));
  EXPECT_FALSE(promises.may_ask(p, id, kStart + absl::Milliseconds(400))) << "it has promised it";
}

TEST(PeerScore, IsTheSumOfItsParts) {
  const struct {
    int invalid, penalties;
    double score;
    bool ban;
  } rows[] = {{0, 0, 0, false},   {1, 0, -4, false}, {4, 0, -16, false}, {5, 0, -20, true},
              {10, 0, -40, true}, {0, 6, 0, false},  {0, 7, -16, false}, {0, 8, -64, false}};
  for (const auto& r : rows) {
    PeerScore scores;
    scores.add_peer(peer_id(1), ip4(10, 0, 0, 1), kStart);
    for (int i = 0; i < r.invalid; ++i) scores.invalid_message(peer_id(1));
    for (int i = 0; i < r.penalties; ++i) scores.add_penalty(peer_id(1));
    EXPECT_EQ(scores.score(peer_id(1)), r.score) << r.invalid << " " << r.penalties;
    EXPECT_EQ(scores.too_many_invalid_messages(peer_id(1)), r.ban) << r.invalid;
  }
}

TEST(PeerScore, DecaysToOnePercentInTwoMinutes) {
  PeerScore scores;
  scores.add_peer(peer_id(1), ip4(10, 0, 0, 1), kStart);
  for (int i = 0; i < 10; ++i) scores.invalid_message(peer_id(1));
  for (int i = 0; i < 240; ++i) scores.on_heartbeat(kStart);
  EXPECT_NEAR(scores.score(peer_id(1)), -0.4, 1e-9);
  for (int i = 0; i < 240; ++i) scores.on_heartbeat(kStart);
  EXPECT_EQ(scores.score(peer_id(1)), 0);
  for (int i = 0; i < 100; ++i) scores.first_delivery(peer_id(1));
  EXPECT_EQ(scores.score(peer_id(1)), PeerScore::kMaxApp);
}

TEST(PeerScore, ABadScoreIsKeptForTwentyMinutes) {
  for (const bool in_time : {true, false}) {
    PeerScore scores;
    scores.add_peer(peer_id(1), ip4(10, 0, 0, 1), kStart);
    scores.invalid_message(peer_id(1));
    scores.remove_peer(peer_id(1), kStart);
    EXPECT_EQ(scores.score(peer_id(1)), 0);
    scores.invalid_message(peer_id(1));
    scores.add_peer(peer_id(1), ip4(10, 0, 0, 1), kStart + absl::Seconds(in_time ? 1199 : 1200));
    EXPECT_EQ(scores.score(peer_id(1)), in_time ? -4 : 0);
  }
}

TEST(ValidationQueue, OnePeerCannotTakeAllPlaces) {
  ValidationQueue queue{16, 1000};
  const PeerId flooder = peer_id(1);
  unsigned n = 0;
  for (; queue.has_room(flooder, 1); ++n) queue.add(message_id(n), 0, bytes(1), 1, flooder, kStart);
  EXPECT_EQ(n, 4U) << "a share of the number";
  // Peers with one message each fill all places; peers with more stop at three quarters.
  for (unsigned i = 2; queue.has_room(peer_id(i), 1); ++i)
    queue.add(message_id(n++), 0, bytes(1), 1, peer_id(i), kStart);
  EXPECT_EQ(n, 16U);
  EXPECT_EQ(queue.expire(kStart + absl::Milliseconds(9999)), 0U);
  EXPECT_EQ(queue.expire(kStart + absl::Seconds(10)), 16U);
  queue.add(message_id(0), 0, bytes(1), 700, flooder, kStart);
  EXPECT_FALSE(queue.has_room(flooder, 51)) << "the last quarter of the bytes is for others";
  EXPECT_TRUE(queue.has_room(flooder, 50));
  EXPECT_TRUE(queue.has_room(peer_id(2), 300));
  EXPECT_FALSE(queue.has_room(peer_id(2), 301));
}

TEST(ValidationQueue, NamesAllSendersAndTakesEachMessageOnce) {
  ValidationQueue queue{16, 1000};
  queue.add(message_id(1), 3, bytes(10), 20, peer_id(1), kStart);
  for (unsigned i = 2; i < 200; ++i) queue.add_sender(message_id(1), peer_id(i));
  queue.add_sender(message_id(2), peer_id(1));
  const auto entry = queue.take(message_id(1));
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->topic, 3U);
  EXPECT_EQ(entry->senders.size(), ValidationQueue::kMaxSenders);
  EXPECT_FALSE(queue.take(message_id(1)));
  EXPECT_FALSE(queue.take(message_id(2)));
}

/// Peers have score 0 and dialled us unless a test says otherwise.
struct MeshTest : ::testing::Test {
  Mesh mesh;
  const Mesh::Degrees degrees{};
  std::map<PeerId, double> scores;
  std::set<PeerId> outbound;
  std::mt19937_64 random{1};

  Mesh::Changes maintain(std::vector<PeerId> candidates = {}) {
    return mesh.maintain(degrees,
                         {[this](const PeerId& p) { return scores[p]; },
                          [this](const PeerId& p) { return outbound.contains(p); }, [&] { return candidates; }},
                         random);
  }
  static std::vector<PeerId> peers(unsigned from, unsigned to) {
    std::vector<PeerId> out;
    for (unsigned i = from; i < to; ++i) out.push_back(peer_id(i));
    return out;
  }
};

TEST_F(MeshTest, KeepsItsSize) {
  const struct { unsigned members, after; } rows[] = {{0, 8}, {5, 8}, {6, 6}, {12, 12}, {13, 8}, {40, 8}};
  for (const auto& r : rows) {
    mesh = {};
    for (const auto& p : peers(0, r.members)) {
      mesh.insert(p);
      outbound.insert(p);
    }
    const auto changes = maintain(peers(50, 90));
    EXPECT_EQ(mesh.size(), r.after) << r.members;
    EXPECT_EQ(changes.grafted.size() + r.members - changes.pruned.size(), r.after);
  }
}

TEST_F(MeshTest, TheBestAndSomeThatWeDialledStay) {
  for (const auto& p : peers(0, 30)) mesh.insert(p);
  for (const unsigned i : {1U, 2U, 3U, 4U}) scores[peer_id(i)] = 3;
  for (const unsigned i : {10U, 11U}) outbound.insert(peer_id(i));
  EXPECT_EQ(maintain().pruned.size(), 22U);
  for (const unsigned i : {1U, 2U, 3U, 4U, 10U, 11U}) EXPECT_TRUE(mesh.contains(peer_id(i))) << i;
}

TEST_F(MeshTest, NegativeScoresLeaveAndDialledPeersAreGrafted) {
  for (const auto& p : peers(0, 8)) mesh.insert(p);
  scores[peer_id(3)] = -0.1;
  for (const unsigned i : {50U, 51U, 52U}) outbound.insert(peer_id(i));
  const auto changes = maintain(peers(40, 60));
  EXPECT_EQ(changes.pruned, (std::vector{peer_id(3)}));
  EXPECT_EQ(changes.grafted, (std::vector{peer_id(50), peer_id(51)})) << "d_out";
}

TEST_F(MeshTest, GraftsTwoBetterPeersWhenTheMedianIsLow) {
  for (const auto& p : peers(0, 8)) {
    mesh.insert(p);
    outbound.insert(p);
  }
  for (const unsigned i : {51U, 52U, 53U}) scores[peer_id(i)] = 1;
  for (std::uint64_t i = 1; i < Mesh::kOpportunisticHeartbeats; ++i)
    EXPECT_TRUE(maintain(peers(50, 60)).grafted.empty());
  EXPECT_EQ(maintain(peers(50, 60)).grafted, (std::vector{peer_id(51), peer_id(52)}));
}

TEST_F(MeshTest, AFullMeshAdmitsOnlyWhomWeDialled) {
  const struct {
    unsigned members;
    double score;
    bool outbound, admitted;
  } rows[] = {{0, 0, false, true}, {11, 0, false, true}, {12, 0, false, false},
              {12, 0, true, true}, {0, -1, true, false}, {0, -1, false, false}};
  for (const auto& r : rows) {
    mesh = {};
    for (const auto& p : peers(0, r.members)) mesh.insert(p);
    EXPECT_EQ(mesh.admits(r.score, r.outbound, degrees), r.admitted) << r.members << " " << r.score;
  }
}

}  // namespace
}  // namespace towline::p2p
