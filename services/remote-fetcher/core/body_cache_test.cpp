#include "services/remote-fetcher/core/body_cache.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace towline::fetcher {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Hash32 hash(std::uint8_t n) { return Hash32{{n}}; }
ServedPtr served(std::uint64_t number, std::size_t bytes = 0) {
  Served s;
  s.payload.number = number;
  if (bytes > 0) s.payload.transactions.push_back(Bytes(bytes));
  return std::make_shared<const Served>(std::move(s));
}
std::vector<std::uint64_t> numbers(const BodyCache::Done& d) {
  std::vector<std::uint64_t> out;
  for (const auto& s : *d.got) out.push_back(s->payload.number);
  return out;
}

TEST(BodyCache, WhatOneFetchedTheNextHas) {
  BodyCache c{1 << 20};
  EXPECT_THAT(c.begin({1, 1}, {hash(1), hash(2)}), ElementsAre(0, 1));
  EXPECT_THAT(c.take_done(), IsEmpty());
  c.on_fetched({1, 1}, std::vector{served(1), served(2)}, 500);
  auto done = c.take_done();
  ASSERT_EQ(done.size(), 1U);
  EXPECT_THAT(numbers(done[0]), ElementsAre(1, 2));
  EXPECT_EQ(done[0].bytes, 500U);
  EXPECT_THAT(c.begin({2, 1}, {hash(2), hash(3)}), ElementsAre(1)) << "by index";
  c.on_fetched({2, 1}, std::vector{served(3)}, 100);
  done = c.take_done();
  ASSERT_EQ(done.size(), 1U);
  EXPECT_THAT(numbers(done[0]), ElementsAre(2, 3));
  EXPECT_GT(done[0].bytes, 100U) << "what is held counts, wherever it is from";
  EXPECT_THAT(c.begin({2, 2}, {hash(1)}), IsEmpty());
  EXPECT_EQ(c.take_done().size(), 1U) << "at once";
}

TEST(BodyCache, WhatIsOnItsWayIsWaitedFor) {
  BodyCache c{1 << 20};
  c.begin({1, 1}, {hash(1), hash(2)});
  EXPECT_THAT(c.begin({2, 1}, {hash(2), hash(3)}), ElementsAre(1));
  c.on_fetched({2, 1}, std::vector{served(3)}, 1);
  EXPECT_THAT(c.take_done(), IsEmpty());
  c.on_fetched({1, 1}, std::vector{served(1), served(2)}, 1);
  EXPECT_EQ(c.take_done().size(), 2U);
}

TEST(BodyCache, WhoWaitedForAFailureFetchesByItself) {
  BodyCache c{1 << 20};
  c.begin({1, 1}, {hash(1), hash(2)});
  EXPECT_THAT(c.begin({2, 1}, {hash(1), hash(3)}), ElementsAre(1));
  EXPECT_THAT(c.begin({3, 1}, {hash(2)}), IsEmpty());
  c.on_fetched({1, 1}, absl::CancelledError("its caller is gone"), 0);
  const auto failed = c.take_done();
  ASSERT_EQ(failed.size(), 1U);
  EXPECT_FALSE(failed[0].got.ok());
  auto again = c.take_again();
  ASSERT_EQ(again.size(), 1U) << "the other fetches yet";
  EXPECT_EQ(again[0].first, (BodyCache::Key{3, 1}));
  c.on_fetched({2, 1}, std::vector{served(3)}, 1);
  again = c.take_again();
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].first, (BodyCache::Key{2, 1}));
  EXPECT_THAT(again[0].second, ElementsAre(0));
  c.on_fetched({2, 1}, std::vector{served(1)}, 1);
  const auto done = c.take_done();
  ASSERT_EQ(done.size(), 1U);
  EXPECT_THAT(numbers(done[0]), ElementsAre(1, 3));
}

TEST(BodyCache, AStreamThatIsOverGetsNothingAndItsFetchIsStillOfUse) {
  BodyCache c{1 << 20};
  c.begin({1, 1}, {hash(1)});
  c.begin({2, 1}, {hash(1)});
  c.drop(1);
  c.on_fetched({1, 1}, std::vector{served(1)}, 1);
  const auto done = c.take_done();
  ASSERT_EQ(done.size(), 1U);
  EXPECT_EQ(done[0].key, (BodyCache::Key{2, 1}));
  c.on_fetched({1, 1}, std::vector{served(1)}, 1);
  EXPECT_THAT(c.take_done(), IsEmpty());
}

TEST(BodyCache, IsBoundedInBytesAndDropsWhatWasNotUsedForLongest) {
  BodyCache c{10'000};
  const auto fetch = [&](std::uint8_t n, std::uint64_t batch) {
    const bool fetched = !c.begin({1, batch}, {hash(n)}).empty();
    if (fetched) c.on_fetched({1, batch}, std::vector{served(n, 3000)}, 1);
    c.take_done();
    return fetched;
  };
  EXPECT_TRUE(fetch(1, 1));
  EXPECT_TRUE(fetch(2, 2));
  EXPECT_FALSE(fetch(1, 3));
  EXPECT_TRUE(fetch(3, 4));
  EXPECT_LE(c.bytes(), 10'000U);
  EXPECT_FALSE(fetch(1, 5)) << "used last";
  EXPECT_TRUE(fetch(2, 6));
}

TEST(BodyCache, OfOneStreamLittleIsKept) {
  BodyCache c{64U << 20U};
  std::uint64_t batch = 0;
  const auto fetch = [&](std::uint64_t stream, std::uint8_t n) {
    const BodyCache::Key k{stream, ++batch};
    ASSERT_FALSE(c.begin(k, {hash(n)}).empty());
    c.on_fetched(k, std::vector{served(n, 3U << 20U)}, 1);
    c.take_done();
  };
  for (std::uint8_t n = 1; n <= 5; ++n) fetch(1, n);
  EXPECT_LE(c.bytes(), BodyCache::kOfOneStream);
  EXPECT_THAT(c.begin({2, ++batch}, {hash(5)}), IsEmpty()) << "another may be a little behind";
  for (std::uint8_t n = 6; n <= 10; ++n) fetch(1, n);
  EXPECT_GT(c.bytes(), 2 * BodyCache::kOfOneStream);
  c.drop(2);
  fetch(1, 11);
  EXPECT_LE(c.bytes(), BodyCache::kOfOneStream);
}

}  // namespace
}  // namespace towline::fetcher
