#include "libs/actor_kit/task.hpp"

#include <gtest/gtest.h>

#include <string>

namespace towline {
namespace {

using Words = std::vector<std::string>;
using Number = std::shared_ptr<Once<int>>;

Task<int> doubled(Number n) {
  const int v = co_await *n;
  co_return v * 2;
}
Task<void> tell(Number n, Words& out) {
  out.emplace_back("begin");
  const int v = co_await doubled(n);
  out.push_back(std::to_string(v));
}

TEST(Task, GoesOnWhenTheValueHasCome) {
  Loop loop;
  Words out;
  const auto n = std::make_shared<Once<int>>(loop);
  bool done = false;
  loop.start(tell(n, out), [&] { done = true; });
  EXPECT_TRUE(out.empty()) << "it starts with the loop";
  loop.run();
  EXPECT_EQ(out, Words{"begin"});
  n->set(21);
  n->set(7);
  EXPECT_FALSE(done) << "whoever sets a value runs nothing";
  loop.run();
  EXPECT_EQ(out, (Words{"begin", "42"}));
  EXPECT_TRUE(done);
  EXPECT_EQ(loop.size(), 0U);
}

TEST(Task, DoesNotWaitForWhatIsThere) {
  Loop loop;
  Words out;
  const auto n = std::make_shared<Once<int>>(loop);
  n->set(1);
  loop.start(tell(n, out));
  loop.run();
  EXPECT_EQ(out, (Words{"begin", "2"}));
}

Task<int> one() { co_return 1; }
Task<void> many(int& sum) {
  for (int k = 0; k < 100'000; ++k) sum += co_await one();
}

TEST(Task, ALongLoopNeedsNoStack) {
  Loop loop;
  int sum = 0;
  loop.start(many(sum));
  loop.run();
  EXPECT_EQ(sum, 100'000);
}

struct Gone {
  bool* gone;
  explicit Gone(bool* g) : gone{g} {}
  Gone(const Gone&) = delete;
  Gone& operator=(const Gone&) = delete;
  ~Gone() { *gone = true; }
};
Task<void> hold(Number n, bool& gone) {
  const Gone g{&gone};
  co_await *n;
}

TEST(Task, WhatItHeldIsFreeWhenTheLoopEnds) {
  bool gone = false;
  bool told = false;
  {
    Loop loop;
    const auto n = std::make_shared<Once<int>>(loop);
    loop.start(hold(n, gone), [&] { told = true; });
    loop.run();
    EXPECT_FALSE(gone);
  }
  EXPECT_TRUE(gone);
  EXPECT_FALSE(told);
}

Task<void> several(Loop& loop, std::vector<Number> numbers, Words& out) {
  std::vector<Task<void>> tasks;
  for (const auto& n : numbers) tasks.push_back(tell(n, out));
  co_await all(loop, std::move(tasks));
  out.emplace_back("all");
}

TEST(Task, AllIsDoneWithTheLast) {
  Loop loop;
  Words out;
  std::vector<Number> numbers{std::make_shared<Once<int>>(loop), std::make_shared<Once<int>>(loop)};
  loop.start(several(loop, numbers, out));
  loop.run();
  numbers[1]->set(1);
  loop.run();
  numbers[0]->set(2);
  loop.run();
  EXPECT_EQ(out, (Words{"begin", "begin", "2", "4", "all"}));
}

Task<void> fails() {
  throw std::runtime_error{"broken"};
  co_return;
}

TEST(Task, AnExceptionReachesTheHandler) {
  Loop loop;
  loop.start(fails());
  EXPECT_THROW(loop.run(), std::runtime_error);
}

TEST(Cancel, TellsWhoeverWaitsOnce) {
  const auto c = std::make_shared<Cancel>();
  int told = 0;
  {
    const Cancel::Hook gone{c, [&] { told += 100; }};
  }
  const Cancel::Hook h{c, [&] { ++told; }};
  c->call();
  c->call();
  EXPECT_EQ(told, 1);
  const Cancel::Hook late{c, [&] { told += 10; }};
  EXPECT_EQ(told, 11) << "at once when it was called before";
}

}  // namespace
}  // namespace towline
