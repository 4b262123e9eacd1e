#include "services/remote-fetcher/core/ranking.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>

#include "services/remote-fetcher/core/choice.hpp"
#include "services/remote-fetcher/core/hedge.hpp"

namespace towline::fetcher {
namespace {

constexpr absl::Duration ms(int n) { return absl::Milliseconds(n); }

TEST(Latency, QuantilesOfFreshAnswers) {
  const absl::Time t0 = absl::FromUnixSeconds(1000);
  Latency l;
  for (int k = 1; k <= 3; ++k) l.add(ms(k), 1, t0);
  EXPECT_FALSE(l.quantile(0.5, t0)) << "three say nothing";
  for (int k = 4; k <= 20; ++k) l.add(ms(k), 2, t0);
  EXPECT_EQ(l.quantile(0.5, t0), ms(11));
  EXPECT_EQ(l.quantile(0.95, t0), ms(20));
  EXPECT_LT(*l.per_call(0.95, t0), ms(11));
  EXPECT_FALSE(l.quantile(0.5, t0 + Latency::kFresh + ms(1)));
  for (std::size_t k = 0; k < Latency::kMost; ++k) l.add(ms(100), 1, t0);
  EXPECT_EQ(l.quantile(0.01, t0), ms(100)) << "the latest alone";
}

class Ranking : public ::testing::Test {
 protected:
  Ranking() {
    for (int k = 0; k < 3; ++k) {
      auto& e = owned_.emplace_back(std::make_unique<Endpoint>("e", EndpointLimits{2, 0, 0}, [] { return 0.5; }));
      e->on_probed(now, contract::EndpointKind::el, false);
      all.push_back(e.get());
    }
  }
  void answer(std::size_t i, absl::Duration took, std::size_t calls = 10, int times = 8) {
    for (int k = 0; k < times; ++k) {
      all[i]->on_request(Work::bodies, calls, now);
      all[i]->on_answered(Work::bodies, calls, now, took);
    }
  }
  std::string slow() {
    rank(all, Work::bodies, now);
    std::string out;
    for (const Endpoint* e : all) out += e->slow(Work::bodies) ? 's' : '-';
    return out;
  }
  std::optional<std::size_t> choice() {
    const std::vector<const Endpoint*> seen{all.begin(), all.end()};
    return choose_el(seen, {}, {}, {}, now, Work::bodies).endpoint;
  }

  absl::Time now = absl::FromUnixSeconds(1000);
  std::vector<Endpoint*> all;

 private:
  std::vector<std::unique_ptr<Endpoint>> owned_;
};

TEST_F(Ranking, Table) {
  struct Case {
    absl::Duration first, second, third;
    std::size_t third_calls;
    const char* slow;
  };
  for (const Case& c : {
           Case{ms(100), ms(120), ms(110), 10, "---"},
           Case{ms(100), ms(120), ms(2000), 10, "--s"},
           Case{ms(100), ms(120), ms(390), 10, "---"},   // below four times the fastest
           Case{ms(2), ms(3), ms(30), 10, "---"},        // the difference is too small
           Case{ms(100), ms(120), ms(900), 100, "---"},  // a large batch
           Case{ms(2000), ms(2100), ms(1900), 10, "---"},
       }) {
    now += Latency::kFresh * 2;
    for (Endpoint* e : all) e->set_slow(Work::bodies, false);
    answer(0, c.first);
    answer(1, c.second);
    answer(2, c.third, c.third_calls);
    EXPECT_EQ(slow(), c.slow) << c.third;
  }
}

TEST_F(Ranking, AnEndpointThatIsAboutAlikeStaysWhereItIs) {
  answer(0, ms(100));
  answer(1, ms(100));
  answer(2, ms(500));
  EXPECT_EQ(slow(), "--s");
  answer(2, ms(300), 10, 64);
  EXPECT_EQ(slow(), "--s") << "not twice as long any more, but not four times either";
  answer(2, ms(150), 10, 64);
  EXPECT_EQ(slow(), "---");
  answer(2, ms(300), 10, 64);
  EXPECT_EQ(slow(), "---");
}

TEST_F(Ranking, OneThatIsNotMeasuredKeepsItsRank) {
  answer(0, ms(100));
  answer(1, ms(100));
  answer(2, ms(1000));
  EXPECT_EQ(slow(), "--s");
  now += Latency::kFresh * 2;
  answer(0, ms(100));
  EXPECT_EQ(slow(), "--s");
  now += Latency::kFresh * 2;
  answer(0, ms(100));
  EXPECT_EQ(slow(), "---") << "but not for ever";
}

TEST_F(Ranking, OneThatCannotBeAskedMakesNobodySlow) {
  answer(0, ms(10));
  answer(1, ms(1000));
  answer(2, ms(1000));
  all[0]->quarantine(now, "bad");
  EXPECT_EQ(slow(), "---");
}

TEST_F(Ranking, TheSlowOneIsAskedLast) {
  for (std::size_t i = 0; i < 3; ++i) answer(i, i == 2 ? ms(1000) : ms(100));
  EXPECT_EQ(slow(), "--s");
  EXPECT_EQ(choice(), 0U) << "list order decides ties";
  for (std::size_t i : {0U, 0U, 1U, 1U}) all[i]->on_request(Work::bodies, 1, now);
  EXPECT_FALSE(choice()) << "a slot of a fast one is free sooner than the slow one answers";
  now += Endpoint::kTrialEach + ms(1);
  EXPECT_FALSE(choice()) << "nobody waits for a trial";
  all[0]->cordon("away");
  all[1]->cordon("away");
  EXPECT_EQ(choice(), 2U) << "better slow than nobody";
}

TEST_F(Ranking, ATrialIsDueForEachKindOfWork) {
  for (std::size_t i = 0; i < 3; ++i) answer(i, i == 2 ? ms(1000) : ms(100));
  EXPECT_FALSE(all[2]->trial_due(Work::bodies, now));
  now += Endpoint::kTrialEach + ms(1);
  all[2]->on_request(Work::headers, 1, now);
  EXPECT_FALSE(all[2]->trial_due(Work::bodies, now)) << "one request at a time";
  all[2]->on_answered(Work::headers, 1, now, ms(1000));
  EXPECT_FALSE(all[2]->trial_due(Work::headers, now));
  EXPECT_TRUE(all[2]->trial_due(Work::bodies, now)) << "headers say nothing of bodies";
}

// One request after the other: all are idle whenever the next one comes, and list order would take the first for ever.
TEST_F(Ranking, AFirstEndpointThatIsSlowIsFoundOutThoughNobodyElseWasAsked) {
  std::array<int, 3> asked{};
  for (int k = 0; k < 100; ++k) {
    slow();
    const auto i = choice();
    ASSERT_TRUE(i);
    ++asked[*i];
    now += ms(*i == 0 ? 500 : 20);
    answer(*i, *i == 0 ? ms(500) : ms(20), 1, 1);
  }
  EXPECT_EQ(asked[0], static_cast<int>(Latency::kLeast));
  EXPECT_EQ(asked[2], static_cast<int>(Latency::kLeast)) << "list order decides between those that are about alike";
}

TEST_F(Ranking, AnEndpointThatIsNeverMeasuredIsNotAskedForEver) {
  for (std::size_t i : {0U, 1U}) answer(i, ms(20));
  int asked = 0;
  for (int k = 0; k < 100; ++k) {
    if (choice() != 2U) continue;
    ++asked;
    all[2]->on_request(Work::bodies, 10, now);
    all[2]->on_gaps(Work::bodies, 10, 5, now);
  }
  EXPECT_EQ(asked, static_cast<int>(Endpoint::kFirstRequests));
  now += Endpoint::kTrialEach + ms(1);
  EXPECT_EQ(choice(), 2U);
}

TEST_F(Ranking, OneThatIsSlowNowAndThenComesAfterThoseThatAreIdle) {
  answer(1, ms(20), 1, 20);
  answer(2, ms(20), 1, 20);
  answer(0, ms(20), 1, 30);
  answer(0, ms(500), 1, 8);
  EXPECT_EQ(slow(), "---") << "most of its answers are fast";
  EXPECT_TRUE(all[0]->unsteady(Work::bodies));
  EXPECT_FALSE(all[1]->unsteady(Work::bodies));
  for (int k = 0; k < 2; ++k) {
    const auto i = choice();
    ASSERT_TRUE(i);
    EXPECT_NE(*i, 0U);
    all[*i]->on_request(Work::bodies, 1, now);
  }
  all[1]->cordon("away");
  all[2]->cordon("away");
  EXPECT_EQ(choice(), 0U);
  answer(0, ms(20), 1, 64);
  rank(all, Work::bodies, now);
  EXPECT_FALSE(all[0]->unsteady(Work::bodies));
}

TEST_F(Ranking, AFewAnswersDoNotMakeUnsteady) {
  for (std::size_t i : {1U, 2U}) answer(i, ms(20), 1, 20);
  answer(0, ms(20), 1, 8);
  answer(0, ms(500), 1, 1);
  slow();
  EXPECT_FALSE(all[0]->unsteady(Work::bodies));
}

TEST_F(Ranking, OvertakenRequestsCount) {
  answer(0, ms(100));
  answer(1, ms(100));
  for (int k = 0; k < 8; ++k) {
    all[2]->on_request(Work::bodies, 10, now);
    all[2]->on_overtaken(Work::bodies, 10, now, ms(700));
    all[2]->on_cancelled(Work::bodies, 10);
  }
  EXPECT_EQ(slow(), "--s");
  EXPECT_EQ(all[2]->in_flight(), 0);
}

TEST_F(Ranking, OneThatIsOftenOvertakenIsUnsteady) {
  for (std::size_t i : {0U, 1U, 2U}) answer(i, ms(20), 1, 20);
  const auto overtaken = [&](int times) {
    for (int k = 0; k < times; ++k) {
      all[0]->on_request(Work::bodies, 1, now);
      all[0]->on_overtaken(Work::bodies, 1, now, ms(65));
      all[0]->on_cancelled(Work::bodies, 1);
    }
    rank(all, Work::bodies, now);
    return all[0]->unsteady(Work::bodies);
  };
  EXPECT_FALSE(overtaken(2)) << "two of 22";
  EXPECT_TRUE(overtaken(1)) << "three of 23";
  answer(0, ms(20), 1, 30);
  rank(all, Work::bodies, now);
  EXPECT_TRUE(all[0]->unsteady(Work::bodies)) << "three of 53";
  answer(0, ms(20), 1, 8);
  rank(all, Work::bodies, now);
  EXPECT_FALSE(all[0]->unsteady(Work::bodies)) << "three of 61";
}

TEST_F(Ranking, WhereAllAreOvertakenNoneIsUnsteady) {
  const auto overtaken = [&](std::size_t i) {
    answer(i, ms(20), 1, 20);
    for (int k = 0; k < 5; ++k) {
      all[i]->on_request(Work::bodies, 1, now);
      all[i]->on_overtaken(Work::bodies, 1, now, ms(65));
      all[i]->on_cancelled(Work::bodies, 1);
    }
  };
  const auto unsteady = [&] {
    rank(all, Work::bodies, now);
    std::string out;
    for (const Endpoint* e : all) out += e->unsteady(Work::bodies) ? 'u' : '-';
    return out;
  };
  answer(2, ms(20), 1, 20);
  overtaken(0);
  overtaken(1);
  EXPECT_EQ(unsteady(), "uu-");
  all[2]->cordon("away");
  EXPECT_EQ(unsteady(), "---") << "nobody else can be asked";
  ASSERT_TRUE(all[2]->uncordon().ok());
  overtaken(2);
  EXPECT_EQ(unsteady(), "---");
}

TEST(Hedge, AFewAnswersSayNothingOfTheTail) {
  const absl::Time t0 = absl::FromUnixSeconds(1000);
  Latency l;
  for (int k = 0; k < 3; ++k) l.add(ms(30), 1, t0);
  l.add(ms(500), 1, t0);
  EXPECT_EQ(hedge_after(l, t0), ms(60));
}

TEST(Hedge, NotForOneThatIsALittleLate) {
  const absl::Time t0 = absl::FromUnixSeconds(1000);
  Latency l;
  EXPECT_FALSE(hedge_after(l, t0));
  for (int k = 0; k < 20; ++k) l.add(ms(20), 1, t0);
  l.add(ms(22), 1, t0);
  EXPECT_EQ(hedge_after(l, t0), ms(45));
  for (int k = 0; k < 4; ++k) l.add(ms(400), 1, t0);
  EXPECT_EQ(hedge_after(l, t0), ms(400));
}

TEST(Hedge, WhatWasOvertakenDelaysNoSecond) {
  const absl::Time t0 = absl::FromUnixSeconds(1000);
  Latency l;
  for (int k = 0; k < 20; ++k) l.add(ms(20), 1, t0);
  for (int k = 0; k < 5; ++k) l.add(*hedge_after(l, t0) + ms(20), 1, t0, true);
  EXPECT_EQ(hedge_after(l, t0), ms(45));
}

TEST(HedgeAllowance, OneInTwenty) {
  HedgeAllowance a;
  int taken = 0;
  while (a.take()) ++taken;
  EXPECT_EQ(taken, 8) << "for the first slow answers";
  taken = 0;
  for (int k = 0; k < 1000; ++k) {
    a.on_request();
    if (a.take()) ++taken;
  }
  EXPECT_NEAR(taken, 50, 1);
  for (int k = 0; k < 1000; ++k) a.on_request();
  taken = 0;
  while (a.take()) ++taken;
  EXPECT_EQ(taken, 8) << "no more is saved up";
}

}  // namespace
}  // namespace towline::fetcher
