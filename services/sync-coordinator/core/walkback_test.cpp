#include "services/sync-coordinator/core/walkback.hpp"

#include <gtest/gtest.h>

#include <random>

namespace towline::coordinator {
namespace {

/// Two chains that are equal up to and including `common`, computed from the height: no million blocks in memory.
struct Fork {
  std::uint64_t common;
  eth::BlockRef ours(std::uint64_t n) const { return block(n, n <= common ? 0 : 1); }
  eth::BlockRef theirs(std::uint64_t n) const { return block(n, n <= common ? 0 : 2); }

 private:
  static eth::BlockRef block(std::uint64_t n, std::uint8_t branch) {
    eth::BlockRef b;
    b.number = n;
    for (unsigned i = 0; i < 8; ++i) b.hash.bytes[i] = static_cast<std::uint8_t>(n >> (8U * i));
    b.hash.bytes[8] = branch;
    b.hash.bytes[31] = 1;
    return b;
  }
};

struct Outcome {
  Walkback::Result result;
  std::uint64_t ancestor;
  int rounds;
};

Outcome search(const Fork& f, std::uint64_t low, std::uint64_t high, std::size_t width) {
  Walkback w{f.ours(low).id(), high, width};
  auto result = Walkback::Result::searching;
  while (result == Walkback::Result::searching) {
    EXPECT_LE(w.numbers().size(), width);
    EXPECT_FALSE(w.numbers().empty());
    std::vector<eth::BlockRef> remote;
    std::vector<eth::BlockRef> local;
    for (const auto n : w.numbers()) {
      remote.push_back(f.theirs(n));
      local.push_back(f.ours(n));
    }
    result = w.on_answers(remote, local);
    if (w.rounds() > 200) {
      ADD_FAILURE() << "no end: low " << low << " high " << high << " width " << width << " common " << f.common;
      break;
    }
  }
  return {result, w.ancestor().number, w.rounds()};
}

// The fork itself is the oracle: it knows the highest common height.
TEST(Walkback, FindsTheHighestCommonBlock) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random{seed};
  for (int i = 0; i < 20000; ++i) {
    const std::uint64_t low = random() % 1000;
    const std::uint64_t high = low + random() % (std::uint64_t{1} << (random() % 24));
    const std::uint64_t common = low + random() % (high - low + 1);
    const std::size_t width = 2 + random() % 120;
    const Outcome o = search(Fork{common}, low, high, width);
    ASSERT_EQ(o.result, Walkback::Result::found)
        << "low " << low << " high " << high << " common " << common << " width " << width;
    ASSERT_EQ(o.ancestor, common) << "low " << low << " high " << high << " width " << width;
  }
}

TEST(Walkback, AMillionBlocksCostFourRoundsAtMost) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random{seed};
  for (int i = 0; i < 5000; ++i) {
    const std::uint64_t common = random() % 1'000'000;
    const Outcome o = search(Fork{common}, 0, 1'000'000, 100);
    ASSERT_EQ(o.ancestor, common);
    ASSERT_LE(o.rounds, 4) << common;
  }
}

TEST(Walkback, ShallowReorgsCostTwoRoundsAtMost) {
  for (std::uint64_t depth = 1; depth <= 16; ++depth) {
    const Outcome o = search(Fork{1'000'000 - depth}, 0, 1'000'000, 100);
    EXPECT_EQ(o.ancestor, 1'000'000 - depth);
    EXPECT_LE(o.rounds, 2) << depth;
  }
}

// Of n unknown heights, each round leaves at most ceil(n / (width + 1)).
TEST(Walkback, SmallBatchesDegradeAsTheFormulaSays) {
  for (const std::size_t width : {2U, 3U, 5U, 10U, 20U, 50U}) {
    double unknown = 1'000'000;
    int bound = 1;  // the first round spends its width near the head
    while (unknown >= 1) {
      unknown = std::ceil(unknown / static_cast<double>(width + 1)) - (unknown <= static_cast<double>(width) ? 1 : 0);
      ++bound;
    }
    for (std::uint64_t common = 7; common < 1'000'000; common += 99'991) {
      EXPECT_LE(search(Fork{common}, 0, 1'000'000, width).rounds, bound + 1)
          << "width " << width << " common " << common;
    }
  }
}

TEST(Walkback, ADifferenceAtTheConfirmedFinalizedIsDivergence) {
  const Fork f{99};  // differs from 100 on
  const Outcome o = search(f, 100, 500, 100);
  EXPECT_EQ(o.result, Walkback::Result::diverged);
}

TEST(Walkback, MissingHeightsDoNotMisleadIt) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random{seed};
  for (int i = 0; i < 2000; ++i) {
    const Fork f{random() % 5000};
    Walkback w{f.ours(0).id(), 5000, 20};
    auto result = Walkback::Result::searching;
    while (result == Walkback::Result::searching && w.rounds() < 200) {
      std::vector<eth::BlockRef> remote;
      std::vector<eth::BlockRef> local;
      for (const auto n : w.numbers()) {
        if (random() % 4 != 0) remote.push_back(f.theirs(n));
        if (random() % 4 != 0) local.push_back(f.ours(n));
      }
      result = w.on_answers(remote, local);
    }
    // The search may give up, but it must not be wrong.
    if (result == Walkback::Result::found) {
      ASSERT_EQ(w.ancestor().number, f.common);
    }
    ASSERT_NE(result, Walkback::Result::diverged);
  }
}

}  // namespace
}  // namespace towline::coordinator
