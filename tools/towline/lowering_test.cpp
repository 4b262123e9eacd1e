#include "tools/towline/lowering.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

namespace towline::cli {
namespace {

using Result = Lowering::Result;
constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

/// A chain that has blocks of its own above `fork`.
struct Chain {
  std::uint8_t branch = 0;
  std::uint64_t fork = kNever;
  std::uint64_t head = 1'000;
  eth::BlockId at(std::uint64_t n) const {
    Hash32 h;
    for (unsigned i = 0; i < 8; ++i) h.bytes[i] = static_cast<std::uint8_t>(n >> (8U * i));
    h.bytes[30] = n > fork ? branch : 0;
    h.bytes[31] = 1;
    return {n, h};
  }
  std::vector<eth::BlockRef> have(const std::vector<std::uint64_t>& numbers) const {
    std::vector<eth::BlockRef> out;
    for (const std::uint64_t n : numbers)
      if (n <= head) out.push_back({n, at(n).hash, {}, 0});
    return out;
  }
};

const Chain kTheirs;
const Chain kForged{7, 900};

Lowering ask(const Lowering::Here& here, const Chain& theirs, const Chain& el) {
  Lowering l{here};
  for (int questions = 0; l.result() == Result::asking; ++questions) {
    if (questions > 20) {
      ADD_FAILURE() << "it asks for ever";
      break;
    }
    EXPECT_FALSE(l.numbers().empty());
    EXPECT_LE(l.numbers().size(), 64U) << "what CompareEndpoints takes";
    EXPECT_TRUE(std::is_sorted(l.numbers().begin(), l.numbers().end()));
    l.on_answers(theirs.have(l.numbers()), el.have(l.numbers()));
  }
  return l;
}

struct Row {
  const char* name;
  std::optional<eth::BlockId> confirmed_finalized, finalized;
  Chain el, theirs;
  Result result;
  std::optional<eth::BlockId> was = {}, to = {};
};

TEST(Lowering, IsForWhatAMajorityHasAnotherBlockInPlaceOf) {
  const Chain other_third{9, 800};
  const Row rows[] = {
      {"confirmed_finalized and label are forged", kForged.at(950), kForged.at(950), kForged, kTheirs, Result::lower,
       kForged.at(950), kTheirs.at(900)},
      {"the label is above the forged confirmed finalized block", kForged.at(950), kForged.at(990), kForged, kTheirs,
       Result::lower, kForged.at(950), kTheirs.at(900)},
      {"no confirmed finalized block", std::nullopt, kForged.at(950), kForged, kTheirs, Result::lower, kForged.at(950),
       kTheirs.at(900)},
      {"the confirmed finalized block is right, the label is forged", kTheirs.at(890), kForged.at(950), kForged,
       kTheirs, Result::lower, kForged.at(950), kTheirs.at(900)},
      {"the EL lost its labels", kForged.at(950), std::nullopt, kForged, kTheirs, Result::lower, kForged.at(950),
       kTheirs.at(900)},
      {"the EL came back below the fork", kForged.at(950), std::nullopt, Chain{7, 900, 700}, kTheirs, Result::lower,
       kForged.at(950), kTheirs.at(700)},
      {"a short fork of a long chain", kForged.at(901), kForged.at(901), kForged, kTheirs, Result::lower,
       kForged.at(901), kTheirs.at(900)},
      {"a fork at genesis",
       Chain{7, 0}.at(950),
       {},
       Chain{7, 0},
       kTheirs,
       Result::lower,
       Chain{7, 0}.at(950),
       kTheirs.at(0)},
      {"the EL was restored, the confirmed finalized block is forged", kForged.at(950), kTheirs.at(980), kTheirs,
       kTheirs, Result::lower, kForged.at(950), kTheirs.at(950)},
      {"the EL is on a third chain", kForged.at(950), other_third.at(940), other_third, kTheirs, Result::lower,
       kForged.at(950), kTheirs.at(800)},
      {"all agree", kTheirs.at(950), kTheirs.at(950), kTheirs, kTheirs, Result::supported, kTheirs.at(950)},
      {"only the EL has another chain", kTheirs.at(950), std::nullopt, kForged, kTheirs, Result::supported,
       kTheirs.at(950)},
      {"most have not come so far", kForged.at(950), kForged.at(950), kForged, Chain{0, kNever, 940},
       Result::no_majority, kForged.at(950)},
      {"nothing is final", std::nullopt, std::nullopt, kForged, kTheirs, Result::nothing_final},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const Lowering l =
        ask({kTheirs.at(0), row.confirmed_finalized, row.finalized, row.el.at(row.el.head)}, row.theirs, row.el);
    EXPECT_EQ(l.result(), row.result);
    EXPECT_EQ(l.was(), row.was);
    EXPECT_EQ(l.to(), row.to);
    if (row.result == Result::lower) {
      EXPECT_EQ(l.theirs(), row.theirs.at(row.was->number));
    }
  }
}

TEST(Lowering, IsNotForSourcesOfAnotherChain) {
  const Lowering::Here here{{0, kForged.at(950).hash}, kForged.at(950), {}, kForged.at(1'000)};
  EXPECT_EQ(ask(here, kTheirs, Chain{7, 0}).result(), Result::other_chain);
}

TEST(Lowering, FindsNothingWhereTheSourcesAreSilent) {
  Lowering l{{kTheirs.at(0), kForged.at(950), kForged.at(950), kForged.at(1'000)}};
  l.on_answers(kTheirs.have(l.numbers()), {});
  ASSERT_EQ(l.result(), Result::asking);
  for (int i = 0; i < 3; ++i) l.on_answers({}, kForged.have(l.numbers()));
  EXPECT_EQ(l.result(), Result::no_answer);
  EXPECT_EQ(l.to(), std::nullopt) << "least of all the genesis block, which nobody has named";
}

TEST(Lowering, FindsADeepForkInFewQuestions) {
  const Chain long_theirs{0, kNever, 50'000'000}, long_forged{7, 12'345'678, 50'000'000};
  Lowering l{{long_theirs.at(0), long_forged.at(49'000'000), {}, long_forged.at(50'000'000)}};
  int questions = 0;
  for (; l.result() == Result::asking; ++questions)
    l.on_answers(long_theirs.have(l.numbers()), long_forged.have(l.numbers()));
  EXPECT_EQ(l.result(), Result::lower);
  EXPECT_EQ(l.to(), long_theirs.at(12'345'678));
  EXPECT_LE(questions, 8);
}

}  // namespace
}  // namespace towline::cli
