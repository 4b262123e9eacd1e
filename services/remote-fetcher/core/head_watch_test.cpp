#include "services/remote-fetcher/core/head_watch.hpp"

#include <gtest/gtest.h>

#include "services/remote-fetcher/core/head_board.hpp"

namespace towline::fetcher {
namespace {

const absl::Time t0 = absl::FromUnixSeconds(1'700'000'000);
constexpr absl::Duration kInterval = absl::Seconds(1);

std::optional<contract::HeadSnapshot> heads(std::uint64_t number) {
  contract::HeadSnapshot s;
  s.endpoint = "a";
  s.unsafe = eth::BlockRef{number, Hash32{{static_cast<std::uint8_t>(number)}}, {}, number};
  return s;
}

SourceTroubles troubles(bool nothing_asked_yet = false) {
  return {{"no_heads", "nobody gives heads"}, std::nullopt, nothing_asked_yet};
}

TEST(HeadWatch, TellsNewsAtOnceAndTheSameAfterAnInterval) {
  HeadWatch w{t0, kInterval};
  ASSERT_TRUE(w.look(heads(1), troubles(), t0));
  EXPECT_FALSE(w.look(heads(1), troubles(), t0 + absl::Milliseconds(300))) << "another endpoint was looked at";
  EXPECT_EQ(w.due(), t0 + kInterval);
  const auto news = w.look(heads(2), troubles(), t0 + absl::Milliseconds(400));
  ASSERT_TRUE(news);
  EXPECT_EQ(std::get<contract::HeadSnapshot>(*news).unsafe->number, 2U);
  EXPECT_EQ(w.due(), t0 + absl::Milliseconds(1400));
  EXPECT_TRUE(w.look(heads(2), troubles(), w.due()));
}

TEST(HeadWatch, ThatNoBlocksAreServedIsNews) {
  HeadWatch w{t0, kInterval};
  ASSERT_TRUE(w.look(heads(1), troubles(), t0));
  SourceTroubles t = troubles();
  t.blocks = contract::SourceTrouble{"source_pruned", "gone"};
  const auto news = w.look(heads(1), t, t0);
  ASSERT_TRUE(news);
  EXPECT_EQ(std::get<contract::HeadSnapshot>(*news).blocks_trouble->code, "source_pruned");
}

TEST(HeadWatch, WaitsForTheFirstLookBeforeItSaysThatThereAreNoHeads) {
  HeadWatch w{t0, kInterval};
  EXPECT_FALSE(w.look({}, troubles(), t0 + absl::Milliseconds(2999)));
  EXPECT_FALSE(w.look({}, troubles(true), t0 + absl::Seconds(3))) << "no probe has ended";
  const auto m = w.look({}, troubles(), t0 + absl::Seconds(3));
  ASSERT_TRUE(m);
  EXPECT_EQ(std::get<contract::SourceTrouble>(*m).code, "no_heads");
  EXPECT_FALSE(w.look({}, troubles(), t0 + absl::Milliseconds(3500)));
  EXPECT_TRUE(w.look({}, troubles(), t0 + absl::Seconds(4)));
}

TEST(HeadWatch, TheLossOfHeadsIsToldAtOnce) {
  HeadWatch w{t0, kInterval};
  ASSERT_TRUE(w.look(heads(1), troubles(), t0));
  EXPECT_TRUE(w.look({}, troubles(), t0 + absl::Milliseconds(1)));
}

TEST(HeadBoard, ForgetsARuleThatNobodyFailsAnyMore) {
  HeadBoard b{Vote{{{"a", "x"}}, {}, {absl::Seconds(3), absl::Seconds(13), absl::Seconds(10)}}, ChainClock{{}}};
  EXPECT_FALSE(b.clear_unknown_rules());
  b.set_unknown_rules("hash: x", t0);
  EXPECT_EQ(b.unknown_rules(t0 + absl::Seconds(59)), "hash: x");
  EXPECT_EQ(b.unknown_rules(t0 + absl::Seconds(60)), "");
  EXPECT_TRUE(b.clear_unknown_rules());
  EXPECT_EQ(b.unknown_rules(t0), "");
}

TEST(HeadBoard, ComparesAtTheBlocksOfSubscribersWhileTheyWatch) {
  HeadBoard b{Vote{{{"a", "x"}}, {}, {absl::Seconds(3), absl::Seconds(13), absl::Seconds(10)}}, ChainClock{{}}};
  b.watch(1, {70, {}});
  b.watch(2, {70, {}});
  EXPECT_EQ(b.heights("a", t0), std::vector<std::uint64_t>{70});
  b.unwatch(1);
  EXPECT_EQ(b.heights("a", t0), std::vector<std::uint64_t>{70});
  b.unwatch(2);
  EXPECT_TRUE(b.heights("a", t0).empty());
}

}  // namespace
}  // namespace towline::fetcher
