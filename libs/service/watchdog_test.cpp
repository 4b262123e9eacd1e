#include "libs/service/watchdog.hpp"

#include <absl/synchronization/notification.h>
#include <gtest/gtest.h>

#include "tests/support/hang.hpp"

namespace towline::service {
namespace {

/// The turn (from 1) at which a loop counts as hung that took the turns marked 'x' in `history`; 0: never.
int hangs_at(int patience, const std::string& history) {
  Patience p{patience};
  for (std::size_t i = 0; i < history.size(); ++i)
    if (p.turn({history[i] == 'x'})) return static_cast<int>(i) + 1;
  return 0;
}

TEST(Patience, CountsTheTurnsThatALoopMissesInARow) {
  EXPECT_EQ(hangs_at(3, "xxxxxx"), 0);
  EXPECT_EQ(hangs_at(3, "xx...x"), 5);
  EXPECT_EQ(hangs_at(3, "..x..x..x"), 0) << "each turn pays for what was missed";
  EXPECT_EQ(hangs_at(1, "x."), 2);
  EXPECT_EQ(hangs_at(30, std::string(29, '.')), 0);
  EXPECT_EQ(hangs_at(30, std::string(30, '.')), 30);
}

TEST(Patience, NamesTheFirstOfSeveral) {
  Patience p{2};
  EXPECT_EQ(p.turn({true, false, false}), std::nullopt);
  EXPECT_EQ(p.turn({true, false, false}), 1U);
  EXPECT_EQ(p.turn({true, true, false}), 2U);
  EXPECT_EQ(p.turn({true, true, true}), std::nullopt);
}

TEST(Watchdog, NamesTheLoopThatHangsAndNoOther) {
  Watchdog dog{std::chrono::milliseconds{1}};
  dog.watch("lives", [](const std::function<void()>& turn) { turn(); });
  int asked = 0;
  dog.watch("hangs", [&](const std::function<void()>&) { ++asked; });
  absl::Notification bitten;
  std::string who, said;
  dog.start([&](const std::string& loop) {
    who = loop;
    said = dog.hung();
    bitten.Notify();
  });
  ASSERT_TRUE(bitten.WaitForNotificationWithTimeout(testing::kHang));
  EXPECT_EQ(who, "hangs");
  EXPECT_EQ(said, "hangs") << "/livez says it first";
  EXPECT_EQ(asked, 1) << "a loop that owes a turn is not asked for more";
}

TEST(Watchdog, LeavesALoopAloneThatTakesItsTurnsLate) {
  Watchdog dog{std::chrono::milliseconds{1}};
  // This loop takes each turn only when the other loop is asked for the tenth time.
  std::function<void()> owed;
  int turns = 0, late = 0;
  absl::Notification enough;
  dog.watch("late", [&](std::function<void()> turn) {
    owed = std::move(turn);
    ++late;
  });
  dog.watch("beat", [&](const std::function<void()>& turn) {
    turn();
    if (++turns % 10 == 0 && owed) owed();
    if (turns == 200) enough.Notify();
  });
  std::atomic<bool> bitten{false};
  dog.start([&](const std::string&) { bitten = true; });
  ASSERT_TRUE(enough.WaitForNotificationWithTimeout(testing::kHang));
  dog.stop();
  EXPECT_FALSE(bitten);
  EXPECT_GT(late, 10);
  EXPECT_EQ(dog.hung(), "");
}

}  // namespace
}  // namespace towline::service
