#include "services/remote-fetcher/core/chain_proof.hpp"

#include <gtest/gtest.h>

#include <random>

#include "libs/eth/header.hpp"

namespace towline::fetcher {
namespace {

/// `count` linked headers after `parent`; `salt` selects the branch.
std::vector<HashedHeader> chain_after(eth::BlockId parent, std::size_t count, std::uint64_t salt) {
  std::vector<HashedHeader> out;
  for (std::size_t i = 0; i < count; ++i) {
    eth::Header h;
    h.parent_hash = parent.hash;
    h.number = parent.number + 1;
    h.timestamp = salt;
    const Hash32 hash = eth::hash_header(h);
    out.push_back({hash, h});
    parent = {h.number, hash};
  }
  return out;
}

eth::BlockId id(const HashedHeader& h) { return {h.header.number, h.hash}; }

const eth::BlockId kParent{41, {{7}}};

TEST(ChainProof, TakesALinkedRun) {
  const auto chain = chain_after(kParent, 5, 1);
  ChainProof p{kParent.number + 1, id(chain.back())};
  EXPECT_EQ(p.size(), 5U);
  for (const auto& h : chain) p.put(h, 0);
  EXPECT_FALSE(p.next_gap());
  const auto got = std::move(p).take();
  ASSERT_EQ(got.size(), 5U);
  EXPECT_EQ(got.front().header.number, 42U);
  EXPECT_EQ(got.back().hash, chain.back().hash);
}

TEST(ChainProof, NamesWhatIsMissingAndWhoIsOnAnotherBranch) {
  const auto chain = chain_after(kParent, 5, 1);
  const auto other = chain_after(kParent, 5, 2);
  ChainProof p{kParent.number + 1, id(chain.back())};
  auto gap = p.next_gap();
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->number, 46U);
  EXPECT_EQ(gap->hash, chain[4].hash);
  EXPECT_FALSE(gap->suspect);
  p.put(chain[4], 0);
  p.put(other[3], 9);
  gap = p.next_gap();
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->number, 45U);
  EXPECT_EQ(gap->hash, chain[3].hash);
  EXPECT_EQ(gap->suspect, 9U);
  p.put(other[4], 9);
  for (std::size_t i = 0; i < 4; ++i) p.put(chain[i], 1);
  EXPECT_FALSE(p.next_gap()) << "what is proven stays";
  EXPECT_EQ(std::move(p).take()[3].hash, chain[3].hash);
}

TEST(ChainProof, GivesUpWhatWasPutForAnotherTry) {
  const auto chain = chain_after(kParent, 5, 1);
  ChainProof p{kParent.number + 1, id(chain.back())};
  p.put(chain[1], 0);
  p.put(chain[4], 1);
  EXPECT_FALSE(p.has(42));
  EXPECT_TRUE(p.has(43));
  EXPECT_TRUE(p.has(46));
  const auto rest = std::move(p).give_up();
  ASSERT_EQ(rest.size(), 2U);
  EXPECT_EQ(rest[0].hash, chain[1].hash);
  EXPECT_EQ(rest[1].hash, chain[4].hash);
}

TEST(ChainProof, IgnoresHeadersOutOfTheRange) {
  const auto chain = chain_after(kParent, 3, 1);
  ChainProof p{kParent.number + 1, id(chain[1])};
  p.put(chain[2], 0);
  eth::Header low;
  low.number = 3;
  p.put({eth::hash_header(low), low}, 0);
  EXPECT_EQ(p.next_gap()->number, 43U);
}

TEST(ChainProof, ProvesFromAnyOrderAndAnyLies) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random{seed};
  for (int round = 0; round < 200; ++round) {
    const std::size_t n = 1 + random() % 40;
    const auto chain = chain_after(kParent, n, 1);
    const auto other = chain_after(kParent, n, 2);
    ChainProof p{kParent.number + 1, id(chain.back())};
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t at = random() % n;
      p.put(random() % 3 == 0 ? other[at] : chain[at], random() % 3);
    }
    std::size_t asked = 0;
    while (auto gap = p.next_gap()) {
      ASSERT_LE(++asked, n);
      ASSERT_EQ(gap->hash, chain[gap->number - 42].hash);
      p.put(chain[gap->number - 42], 0);
    }
    const auto got = std::move(p).take();
    for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(got[i].hash, chain[i].hash);
  }
}

}  // namespace
}  // namespace towline::fetcher
