#include "services/remote-fetcher/actors/head_hub.hpp"

#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/actor_fixture.hpp"
#include "libs/base/steady_time.hpp"

namespace towline::fetcher {
namespace {

using namespace std::chrono_literals;

class HeadHub : public towline::testing::ActorTest {
 protected:
  HeadHub() { own(heads.actor()); }
  static HeadHubConfig config() {
    const Vote::Ages ages{absl::Hours(3), absl::Hours(3), absl::Hours(3)};
    const std::vector<Voter> voters{{"a", "x"}};
    return {Vote{voters, {}, ages}, ChainClock{voters}, absl::Seconds(1), [](const HeadBoard&, absl::Time) {
              return SourceTroubles{{"no_heads", "nobody"}, {}, false};
            }};
  }
  /// Appends each message to `told`: a block's number, or a code.
  void watch(std::uint64_t id, std::vector<std::string>& told, std::optional<eth::BlockId> confirmed = {}) {
    heads.watch(id, std::make_shared<const HeadSubscriber>(HeadSubscriber{
                        confirmed,
                        [&told](const HeadWatch::Message& m, absl::Time) {
                          const auto* s = std::get_if<contract::HeadSnapshot>(&m);
                          told.push_back(s ? std::to_string(s->unsafe->number) + (s->contradicts_finalized ? "!" : "")
                                           : std::get<contract::SourceTrouble>(m).code);
                        },
                        [&told] { told.emplace_back("end"); }}));
    dispatch();
  }
  void look(std::uint64_t head) {
    Look l;
    l.heads.endpoint = "a";
    l.heads.unsafe = eth::BlockRef{head, Hash32{{static_cast<std::uint8_t>(head)}}, {}, head};
    l.heads.observed = steady_now();
    l.asked = {5};
    l.has[5] = Hash32{{5}};
    heads.put(l);
    dispatch();
  }
  Heads heads{system, config()};
};

TEST_F(HeadHub, TellsEachSubscriberNewsAtOnceAndTheSameEachInterval) {
  std::vector<std::string> first, second;
  watch(1, first);
  look(10);
  watch(2, second);
  EXPECT_EQ(first, (std::vector<std::string>{"10"}));
  EXPECT_EQ(second, first);
  look(11);
  EXPECT_EQ(second, (std::vector<std::string>{"10", "11"}));
  advance(2500ms);
  EXPECT_EQ(second, (std::vector<std::string>{"10", "11", "11", "11"}));
  heads.unwatch(2);
  advance(2000ms);
  EXPECT_EQ(second.size(), 4U);
  EXPECT_EQ(first.size(), 6U);
}

TEST_F(HeadHub, ChecksTheConfirmedFinalizedBlockForEachSubscriber) {
  std::vector<std::string> right, wrong;
  watch(1, right, eth::BlockId{5, Hash32{{5}}});
  watch(2, wrong, eth::BlockId{5, Hash32{{6}}});
  EXPECT_EQ(heads.now()->heights("a", steady_now()), std::vector<std::uint64_t>{5});
  look(10);
  EXPECT_EQ(right, (std::vector<std::string>{"10"}));
  EXPECT_EQ(wrong, (std::vector<std::string>{"10!"}));
}

TEST_F(HeadHub, SaysWhyThereAreNoHeadsAndEndsEverySubscriptionWhenItStops) {
  std::vector<std::string> told, late;
  watch(1, told);
  advance(2500ms);
  EXPECT_TRUE(told.empty());
  advance(1500ms);
  EXPECT_EQ(told, (std::vector<std::string>{"no_heads"}));
  heads.stop();
  dispatch();
  EXPECT_EQ(told.back(), "end");
  watch(2, late);
  EXPECT_EQ(late, (std::vector<std::string>{"end"}));
}

}  // namespace
}  // namespace towline::fetcher
