#include "services/remote-fetcher/core/allowance.hpp"

#include <gtest/gtest.h>

namespace towline::fetcher {
namespace {

constexpr std::size_t kKiB = 1024, kMiB = 1024 * kKiB;

TEST(Allowance, OneAnswerThatIsTooLargeIsBadDataAndABatchIsAskedForLess) {
  EXPECT_EQ(allowance_of(Asked::small, 1).bytes, 64 * kKiB);
  EXPECT_EQ(allowance_of(Asked::small, 1).beyond, Beyond::bad_data);
  EXPECT_EQ(allowance_of(Asked::header, 1).beyond, Beyond::bad_data);
  EXPECT_EQ(allowance_of(Asked::header, 100).beyond, Beyond::ask_less);
  EXPECT_EQ(allowance_of(Asked::block, 1).beyond, Beyond::ask_less);
  // 400M gas of bare transfers, each with its hash in JSON.
  EXPECT_GT(allowance_of(Asked::header, 1).bytes, 400'000'000 / 21'000 * 69);
  for (const Asked what : {Asked::small, Asked::header, Asked::block})
    EXPECT_LE(allowance_of(what, 4).bytes, kPollBytes);
  EXPECT_LE(allowance_of(Asked::header, 100).bytes, kBulkBytes);
}

TEST(Allowance, ABodyIsBoundedByItsGas) {
  // All gas spent on zero bytes, or on bare transfers.
  for (const std::uint64_t gas : {30'000'000U, 60'000'000U, 400'000'000U}) {
    EXPECT_GT(largest_body(gas), gas / 4 * 2);
    EXPECT_GT(largest_body(gas), gas / 21'000 * 1200);
  }
  EXPECT_GE(largest_body(0), 256 * kKiB);
  EXPECT_LT(largest_body(UINT64_MAX), std::size_t{1} << 33U);
}

TEST(Allowance, RoomForBodiesGrowsUpToWhatTheirGasPaysFor) {
  struct Row {
    std::size_t largest, usual, bytes;
    Beyond beyond;
  };
  for (const Row& r : {Row{kMiB, 4 * kMiB, kMiB, Beyond::bad_data},             //
                       Row{kMiB, kMiB, kMiB, Beyond::bad_data},                 //
                       Row{18 * kMiB, kMiB, kMiB, Beyond::ask_more},            //
                       Row{18 * kMiB, 64 * kMiB, 18 * kMiB, Beyond::bad_data},  //
                       Row{900 * kMiB, 16 * kMiB, 16 * kMiB, Beyond::ask_more},
                       Row{900 * kMiB, 64 * kMiB, kBulkBytes, Beyond::ask_less}}) {
    const Allowance a = allowance_of_bodies(r.largest, r.usual);
    EXPECT_EQ(a.bytes, r.bytes);
    EXPECT_EQ(a.beyond, r.beyond);
  }
}

TEST(Allowance, AnAnswerThatIsManyTimesItsBlocksIsPadded) {
  EXPECT_FALSE(padded(300 * kKiB, 1, 250, 60 * kKiB));
  EXPECT_FALSE(padded(2 * kMiB + 2 * kKiB, 1, 1, kMiB));
  EXPECT_FALSE(padded(2 * kKiB, 1, 0, 0));
  EXPECT_TRUE(padded(10 * kMiB, 1, 1, 100));
  EXPECT_TRUE(padded(18 * kMiB, 1, 250, 60 * kKiB));
}

}  // namespace
}  // namespace towline::fetcher
