// The parts of the discv5 service, each alone: what they decide, and that their bounds hold.
#include <gtest/gtest.h>

#include <random>

#include "libs/discv5/address_vote.hpp"
#include "libs/discv5/find_node.hpp"
#include "libs/discv5/lookup.hpp"
#include "libs/discv5/request_queue.hpp"
#include "libs/discv5/session_table.hpp"

namespace towline::discv5 {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'700'000'000);

NodeId node_id(unsigned n) {
  NodeId id{};
  id.bytes[0] = static_cast<std::uint8_t>(n >> 8U);
  id.bytes[1] = static_cast<std::uint8_t>(n);
  return id;
}
SocketAddress address(unsigned n) {
  return {p2p::ip4(44, static_cast<std::uint8_t>(n >> 8U), static_cast<std::uint8_t>(n), 1), 9222};
}
Contact contact(unsigned n) { return {node_id(n), {}, address(n)}; }
SessionId session(unsigned n) { return {node_id(n), address(n)}; }
SessionKey key(unsigned n) {
  SessionKey k{};
  k.bytes[0] = static_cast<std::uint8_t>(n);
  return k;
}

TEST(SessionTable, TheOneNotUsedForLongestMakesRoom) {
  SessionTable table;
  for (unsigned i = 0; i < SessionTable::kMaxSessions; ++i) table.put(session(i), {}, {});
  EXPECT_NE(table.find(session(0)), nullptr);
  table.put(session(5000), {}, {});
  EXPECT_EQ(table.size(), SessionTable::kMaxSessions);
  EXPECT_NE(table.find(session(0)), nullptr) << "used just now";
  EXPECT_EQ(table.find(session(1)), nullptr);
  EXPECT_EQ(table.find({node_id(2), address(3)}), nullptr) << "proven for one address only";
}

TEST(SessionTable, KeepsTheReadKeyOfTheSessionBeforeAndNeverRepeatsANonce) {
  SessionTable table;
  EXPECT_FALSE(table.put(session(1), key(1), key(2)).old_read);
  Session& s = table.put(session(1), key(3), key(4));
  EXPECT_EQ(s.old_read, key(1));
  EXPECT_EQ(s.read, key(3));
  const Random zeros = [](std::span<std::uint8_t> out) { std::fill(out.begin(), out.end(), std::uint8_t{0}); };
  EXPECT_NE(s.next_nonce(zeros), s.next_nonce(zeros)) << "even where the random bytes repeat";
}

Request request_to(unsigned n, std::uint8_t id) {
  return {contact(n), FindNode{{id}, {0}}, Request::Purpose::record, {id}};
}

TEST(RequestQueue, SendsOneAtATimeToANodeAndKeepsItsBounds) {
  RequestQueue queue;
  EXPECT_NE(queue.push(request_to(1, 1)), nullptr);
  for (std::uint8_t id = 2; queue.has_room(node_id(1)); ++id) EXPECT_EQ(queue.push(request_to(1, id)), nullptr);
  EXPECT_EQ(queue.answered_by(session(1), {2}), nullptr) << "it is not on the way";
  EXPECT_EQ(queue.answered_by({node_id(1), address(2)}, {1}), nullptr) << "another address";
  EXPECT_NE(queue.answered_by(session(1), {1}), nullptr);
  EXPECT_EQ(queue.pop(node_id(1)).id, RequestId{1});
  EXPECT_EQ(queue.front(node_id(1))->id, RequestId{2});
  EXPECT_EQ(queue.drop(node_id(1)).size(), RequestQueue::kMaxPerNode - 1);
  EXPECT_TRUE(queue.drop(node_id(1)).empty());
  unsigned nodes = 0;
  for (; queue.has_room(node_id(nodes)); ++nodes) queue.push(request_to(nodes, 1));
  EXPECT_EQ(nodes, RequestQueue::kMaxNodes);
  EXPECT_TRUE(queue.has_room(node_id(0))) << "a node that is asked already";
}

TEST(RequestQueue, AWhoAreYouAnswersTheLastPacketOnce) {
  RequestQueue queue;
  Request& r = *queue.push(request_to(1, 1));
  r.nonce.bytes[0] = 7;
  r.deadline = kStart;
  EXPECT_EQ(queue.challenged_by(r.nonce, address(1)), &r);
  EXPECT_EQ(queue.challenged_by(r.nonce, address(2)), nullptr);
  EXPECT_EQ(queue.challenged_by({}, address(1)), nullptr);
  r.challenged = true;
  EXPECT_EQ(queue.challenged_by(r.nonce, address(1)), nullptr);
  EXPECT_TRUE(queue.late(kStart - absl::Milliseconds(1)).empty());
  EXPECT_EQ(queue.late(kStart), std::vector{node_id(1)});
}

TEST(Lookup, AsksTheNearestThreeAtATime) {
  Lookup lookup{node_id(0)};
  for (const unsigned n : {90U, 3U, 50U, 7U, 1U, 3U}) lookup.add(contact(n));
  std::vector<NodeId> asked;
  while (const auto c = lookup.next()) {
    asked.push_back(c->id);
    lookup.on_asked();
  }
  EXPECT_EQ(asked, (std::vector{node_id(1), node_id(3), node_id(7)}));
  lookup.on_end(node_id(1), true);
  EXPECT_EQ(lookup.next()->id, node_id(50));
  lookup.on_end(node_id(3), false);
  lookup.add(contact(2));
  EXPECT_EQ(lookup.next()->id, node_id(2)) << "one that is nearer was told of";
  lookup.on_end(node_id(7), true);
  EXPECT_TRUE(lookup.idle());
}

TEST(Lookup, EndsAfterTheNearestOrTheLastQuestion) {
  Lookup lookup{node_id(0)};
  for (unsigned n = 1; n <= 100; ++n) lookup.add(contact(n));
  std::size_t asked = 0;
  while (const auto c = lookup.next()) {
    lookup.on_asked();
    lookup.on_end(c->id, true);
    ++asked;
  }
  EXPECT_EQ(asked, Lookup::kResult);
  // No candidate answers, so the next nearest take their places.
  Lookup deaf{node_id(0)};
  for (unsigned n = 1; n <= 100; ++n) deaf.add(contact(n));
  asked = 0;
  while (const auto c = deaf.next()) {
    deaf.on_asked();
    deaf.on_end(c->id, false);
    ++asked;
  }
  EXPECT_EQ(asked, Lookup::kMaxAsked);
}

TEST(AddressVote, TenVotersAndMoreThanHalfDecide) {
  const SocketAddress ours{p2p::ip4(80, 1, 2, 3), 9222}, other{p2p::ip4(80, 9, 9, 9), 9222};
  const struct {
    unsigned for_us, for_other;
    bool believed;
  } rows[] = {{9, 0, false}, {10, 0, true}, {10, 9, true}, {10, 10, false}, {11, 10, true}};
  for (const auto& r : rows) {
    AddressVote votes;
    for (unsigned i = 0; i < r.for_other; ++i) votes.vote(address(1000 + i).ip, other, kStart);
    bool believed = false;
    for (unsigned i = 0; i < r.for_us; ++i) believed = votes.vote(address(i).ip, ours, kStart);
    EXPECT_EQ(believed, r.believed) << r.for_us << " " << r.for_other;
  }
}

TEST(AddressVote, OneAddressHasOneVoteForThirtyMinutes) {
  const SocketAddress ours{p2p::ip4(80, 1, 2, 3), 9222};
  AddressVote votes;
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(votes.vote(address(1).ip, ours, kStart));
  for (unsigned i = 2; i < 10; ++i) votes.vote(address(i).ip, ours, kStart);
  AddressVote late = votes;
  EXPECT_TRUE(votes.vote(address(10).ip, ours, kStart + absl::Minutes(30)));
  EXPECT_FALSE(late.vote(address(10).ip, ours, kStart + absl::Minutes(31)));
  EXPECT_FALSE(votes.vote(p2p::ip4(192, 168, 0, 1), ours, kStart)) << "a neighbour";
  EXPECT_FALSE(votes.vote(address(11).ip, {p2p::ip4(192, 168, 0, 1), 9222}, kStart));
  EXPECT_FALSE(votes.vote(address(11).ip, {ours.ip, 0}, kStart));
}

TEST(FindNode, AddressesAreRelayedWhereTheyMeanSomething) {
  const struct {
    const char *to, *ip;
    bool relayed;
  } rows[] = {{"44.1.1.1", "80.1.2.3", true},   {"44.1.1.1", "192.168.0.1", false}, {"10.0.0.1", "192.168.0.1", true},
              {"44.1.1.1", "127.0.0.1", false}, {"127.0.0.1", "127.0.0.1", true},   {"192.168.0.2", "127.0.0.1", false},
              {"44.1.1.1", "224.0.0.1", false}, {"44.1.1.1", "0.0.0.0", false},     {"44.1.1.1", "2001:db8::1", true},
              {"2001:db8::1", "ff02::1", false}};
  for (const auto& r : rows)
    EXPECT_EQ(relayable(*p2p::parse_ip(r.to), *p2p::parse_ip(r.ip)), r.relayed) << r.to << " " << r.ip;
}

}  // namespace
}  // namespace towline::discv5
