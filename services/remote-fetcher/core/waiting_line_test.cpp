#include "services/remote-fetcher/core/waiting_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/remote-fetcher/core/budget.hpp"

namespace towline::fetcher {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Ids = std::vector<std::uint64_t>;

class Line : public ::testing::Test {
 protected:
  void add_endpoint(int slots) {
    EndpointLimits limits;
    limits.max_in_flight = slots;
    auto& e = owned_.emplace_back(std::make_unique<Endpoint>("e", limits, [] { return 0.5; }));
    e->on_probed(now, contract::EndpointKind::el, false);
    endpoints.push_back(e.get());
  }
  Wanted wanted(bool urgent = false) const {
    Wanted w;
    w.since = now;
    w.urgent = urgent;
    return w;
  }
  /// The ids that wait no longer, and their result: an endpoint, or a code.
  std::string go_on() {
    std::string out;
    for (const auto& o : line.go_on(endpoints, now))
      out += std::to_string(o.id) + ":" +
             (o.slot.ok() ? std::to_string(o.slot->endpoint) : absl::StatusCodeToString(o.slot.status().code())) + " ";
    return out;
  }
  void answered(std::size_t i) {
    endpoints[i]->on_answered(Work::headers, 1, now, absl::Milliseconds(5));
    line.on_progress(now);
  }

  absl::Time now = absl::FromUnixSeconds(1000);
  std::vector<Endpoint*> endpoints;
  WaitingLine line{4};

 private:
  std::vector<std::unique_ptr<Endpoint>> owned_;
};

TEST_F(Line, FirstComeFirstServedWithinTheSlots) {
  add_endpoint(1);
  for (std::uint64_t id = 1; id <= 3; ++id) ASSERT_TRUE(line.add(id, wanted()).ok());
  EXPECT_EQ(go_on(), "1:0 ");
  EXPECT_EQ(go_on(), "");
  answered(0);
  EXPECT_EQ(go_on(), "2:0 ");
  EXPECT_EQ(line.size(), 1U);
}

TEST_F(Line, QuestionsGoFirst) {
  add_endpoint(1);
  ASSERT_TRUE(line.add(1, wanted()).ok());
  ASSERT_TRUE(line.add(2, wanted(true)).ok());
  ASSERT_TRUE(line.add(3, wanted(true)).ok());
  EXPECT_EQ(go_on(), "2:0 ");
  answered(0);
  EXPECT_EQ(go_on(), "3:0 ");
  answered(0);
  EXPECT_EQ(go_on(), "1:0 ");
}

TEST_F(Line, WhoCannotBeServedKeepsNobodyWaiting) {
  add_endpoint(1);
  add_endpoint(1);
  endpoints[0]->on_request(Work::headers, 1, now);
  Wanted only_first = wanted();
  only_first.except = {1};
  ASSERT_TRUE(line.add(1, only_first).ok());
  ASSERT_TRUE(line.add(2, wanted()).ok());
  EXPECT_EQ(go_on(), "2:1 ");
}

TEST_F(Line, WhoWantsSomethingElseKeepsTheOrder) {
  add_endpoint(1);
  Wanted bodies = wanted();
  bodies.work = Work::bodies;
  Wanted not_the_other = wanted();
  not_the_other.except = {1};
  ASSERT_TRUE(line.add(1, bodies).ok());
  ASSERT_TRUE(line.add(2, wanted()).ok());
  ASSERT_TRUE(line.add(3, not_the_other).ok());
  ASSERT_TRUE(line.add(4, bodies).ok());
  EXPECT_EQ(go_on(), "1:0 ");
  for (const char* next : {"2:0 ", "3:0 ", "4:0 "}) {
    answered(0);
    EXPECT_EQ(go_on(), next);
  }
}

TEST_F(Line, OneEndpointAndNoOther) {
  add_endpoint(1);
  add_endpoint(1);
  Wanted second = wanted();
  second.only = 1;
  ASSERT_TRUE(line.add(1, second).ok());
  ASSERT_TRUE(line.add(2, second).ok());
  EXPECT_EQ(go_on(), "1:1 ");
  endpoints[1]->cordon("gone");
  EXPECT_EQ(go_on(), "2:UNAVAILABLE ");
}

TEST_F(Line, WhoWantsAnOldBlockKeepsNobodyWaitingWhoWantsANewOne) {
  add_endpoint(1);
  add_endpoint(1);
  endpoints[0]->on_gone(now, 100);
  endpoints[1]->on_request(Work::headers, 1, now);
  Wanted old_block = wanted();
  old_block.number = 100;
  Wanted new_block = wanted();
  new_block.number = 101;
  ASSERT_TRUE(line.add(1, old_block).ok());
  ASSERT_TRUE(line.add(2, old_block).ok());
  ASSERT_TRUE(line.add(3, new_block).ok());
  ASSERT_TRUE(line.add(4, new_block).ok());
  EXPECT_EQ(go_on(), "3:0 ");
  answered(1);
  EXPECT_EQ(go_on(), "1:1 ");
  answered(0);
  EXPECT_EQ(go_on(), "4:0 ");
  line.forget(2);
  EXPECT_EQ(line.size(), 0U);
}

TEST_F(Line, PatienceEndsForThoseBehindToo) {
  add_endpoint(1);
  endpoints[0]->on_request(Work::headers, 1, now);
  ASSERT_TRUE(line.add(1, wanted()).ok());
  now += absl::Seconds(1);
  ASSERT_TRUE(line.add(2, wanted()).ok());
  ASSERT_TRUE(line.add(3, wanted(true)).ok());
  EXPECT_EQ(go_on(), "");
  now = line.next();
  EXPECT_EQ(go_on(), "1:DEADLINE_EXCEEDED ");
  now = line.next();
  EXPECT_EQ(go_on(), "3:DEADLINE_EXCEEDED 2:DEADLINE_EXCEEDED ");
  EXPECT_EQ(line.next(), absl::InfiniteFuture());
}

TEST_F(Line, IsBounded) {
  add_endpoint(1);
  for (std::uint64_t id = 1; id <= 4; ++id) ASSERT_TRUE(line.add(id, wanted()).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(line.add(5, wanted())));
  line.forget(2);
  EXPECT_TRUE(line.add(5, wanted()).ok());
}

TEST_F(Line, SaysThatThereIsNobody) {
  add_endpoint(1);
  endpoints[0]->cordon("gone");
  ASSERT_TRUE(line.add(1, wanted()).ok());
  EXPECT_EQ(go_on(), "1:UNAVAILABLE ");
}

TEST_F(Line, PatienceEndsWhileNobodyAnswersAnything) {
  add_endpoint(1);
  endpoints[0]->on_request(Work::headers, 1, now);
  ASSERT_TRUE(line.add(1, wanted()).ok());
  EXPECT_EQ(go_on(), "");
  EXPECT_EQ(line.next(), now + kPatience + absl::Milliseconds(1));
  now += kPatience / 2;
  line.on_progress(now);
  EXPECT_EQ(go_on(), "");
  now += kPatience;
  EXPECT_EQ(go_on(), "") << "another was answered meanwhile";
  now = line.next();
  EXPECT_EQ(go_on(), "1:DEADLINE_EXCEEDED ");
}

TEST_F(Line, WakesWhenARateAllowsMore) {
  add_endpoint(1);
  endpoints[0]->on_request(Work::headers, 1, now);
  endpoints[0]->on_rate_limit(Work::headers, 1, 0, false, now, absl::Seconds(2));
  ASSERT_TRUE(line.add(1, wanted()).ok());
  EXPECT_EQ(go_on(), "");
  EXPECT_EQ(line.next(), now + absl::Seconds(2));
}

TEST(Budget, FirstComeFirstServed) {
  Budget b{100};
  b.ask(1, 60);
  b.ask(2, 60);
  b.ask(3, 10);
  EXPECT_THAT(b.granted(), ElementsAre(1)) << "a small one does not overtake a large one for ever";
  b.give_back(30);
  EXPECT_THAT(b.granted(), ElementsAre(2, 3));
  EXPECT_EQ(b.free(), 0U);
}

TEST(Budget, WhoWaitsNoMoreHasNothing) {
  Budget b{100};
  b.ask(1, 100);
  b.ask(2, 100);
  b.ask(3, 100);
  EXPECT_THAT(b.granted(), ElementsAre(1));
  b.forget(2);
  b.give_back(100);
  EXPECT_THAT(b.granted(), ElementsAre(3));
  EXPECT_THAT(b.granted(), IsEmpty());
}

}  // namespace
}  // namespace towline::fetcher
