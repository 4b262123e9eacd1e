#include "services/remote-fetcher/core/fetch_queue.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace towline::fetcher {
namespace {

using Key = FetchQueue::Key;

TEST(FetchQueue, FetchesOneStreamInOrderWithinItsBytes) {
  FetchQueue q{100};
  for (const std::uint64_t b : {1U, 2U, 3U}) q.add({1, b}, 60);
  EXPECT_EQ(q.next(), (Key{1, 1}));
  EXPECT_EQ(q.next(), (Key{1, 2})) << "the last one may go over";
  EXPECT_FALSE(q.next());
  q.on_size({1, 1}, 20);
  EXPECT_EQ(q.held(), 80U);
  EXPECT_EQ(q.next(), (Key{1, 3})) << "it took less than was expected";
  for (const std::uint64_t b : {1U, 2U, 3U}) q.free({1, b});
  EXPECT_EQ(q.held(), 0U);
}

TEST(FetchQueue, OneBoundForAllStreamsAndWhatAReaderWaitsForIsAlwaysFetched) {
  FetchQueue q{100};
  for (std::uint64_t b = 0; b < 10; ++b) q.add({1, b}, 50);
  while (q.next()) {
  }
  EXPECT_EQ(q.held(), 100U);
  for (std::uint64_t s = 2; s < 12; ++s)
    for (std::uint64_t b = 0; b < 10; ++b) q.add({s, b}, 50);
  std::size_t fetched = 0;
  while (q.next()) ++fetched;
  EXPECT_EQ(fetched, 10U) << "one for each stream that holds nothing";
  EXPECT_EQ(q.held(), 600U);
}

TEST(FetchQueue, AReaderThatSleepsLeavesOthersTheirPart) {
  FetchQueue q{100};
  q.add({2, 1}, 10);
  for (std::uint64_t b = 0; b < 20; ++b) q.add({1, b}, 10);
  std::size_t of_first = 0, of_second = 0;
  while (const auto k = q.next()) ++(k->stream == 1 ? of_first : of_second);
  EXPECT_EQ(of_first, 5U) << "half of it";
  for (std::uint64_t b = 2; b < 20; ++b) q.add({2, b}, 10);
  while (const auto k = q.next()) ++(k->stream == 1 ? of_first : of_second);
  EXPECT_EQ(of_second, 5U);
}

TEST(FetchQueue, TakesStreamsInTurn) {
  FetchQueue q{1000};
  for (const std::uint64_t s : {1U, 2U, 3U})
    for (const std::uint64_t b : {1U, 2U}) q.add({s, b}, 1);
  std::vector<std::uint64_t> order;
  while (const auto k = q.next()) order.push_back(k->stream);
  EXPECT_EQ(order, (std::vector<std::uint64_t>{1, 2, 3, 1, 2, 3}));
}

TEST(FetchQueue, AStreamThatIsOverHoldsNothing) {
  FetchQueue q{10};
  q.add({1, 1}, 10);
  q.add({1, 2}, 10);
  ASSERT_TRUE(q.next());
  q.drop(1);
  EXPECT_EQ(q.held(), 0U);
  q.on_size({1, 1}, 10);
  q.free({1, 7});
  EXPECT_EQ(q.held(), 0U) << "what comes late counts for nobody";
  EXPECT_FALSE(q.next());
}

}  // namespace
}  // namespace towline::fetcher
