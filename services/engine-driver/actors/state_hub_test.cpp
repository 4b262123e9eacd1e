#include "services/engine-driver/actors/state_hub.hpp"

#include <gmock/gmock.h>

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/actor_fixture.hpp"

namespace towline::driver {
namespace {

using ::testing::ElementsAre;

class StateHubTest : public towline::testing::ActorTest {
 protected:
  struct Watcher {
    std::vector<std::string> reasons;
    std::uint32_t watchers = 0;
    bool ended = false;
  };
  StateSubscriberPtr join(Watcher& w) {
    auto s = std::make_shared<const StateSubscriber>(StateSubscriber{[&w](const contract::EngineState& state) {
                                                                       w.reasons.push_back(state.reason);
                                                                       w.watchers = state.watchers;
                                                                     },
                                                                     [&w] { w.ended = true; }});
    caf::anon_send(hub_, join_atom{}, s);
    dispatch();
    return s;
  }
  void tell(const std::string& reason) {
    Shown shown;
    shown.state.reason = reason;
    caf::anon_send(hub_, state_atom{}, std::make_shared<const Shown>(shown));
    dispatch();
  }
  static contract::EngineState first() {
    contract::EngineState s;
    s.reason = "first";
    return s;
  }

  Published<Shown> latest_{Shown{first(), absl::InfinitePast()}};
  state_hub_actor hub_ = own(system.spawn(state_hub, &latest_));
};

TEST_F(StateHubTest, TellsAtOnceAtEachChangeAndEachSecond) {
  Watcher w;
  join(w);
  tell("second");
  EXPECT_THAT(w.reasons, ElementsAre("first", "second"));
  advance(std::chrono::milliseconds{2500});
  EXPECT_THAT(w.reasons, ElementsAre("first", "second", "second", "second"));
  EXPECT_EQ(latest_.get()->state.reason, "second");
}

TEST_F(StateHubTest, CountsWhoWatches) {
  Watcher a;
  Watcher b;
  join(a);
  const auto second = join(b);
  EXPECT_EQ(a.watchers, 2U);
  EXPECT_EQ(latest_.get()->state.watchers, 2U);
  caf::anon_send(hub_, leave_atom{}, second);
  caf::anon_send(hub_, leave_atom{}, second);
  dispatch();
  EXPECT_EQ(a.watchers, 1U);
  const std::size_t heard = b.reasons.size();
  tell("second");
  EXPECT_EQ(b.reasons.size(), heard);
  EXPECT_EQ(a.watchers, 1U) << "the writer's state knows nothing of it";
}

TEST_F(StateHubTest, EndsTheWatchesWhenItStopsAndThoseThatComeLater) {
  Watcher early;
  Watcher late;
  join(early);
  caf::anon_send(hub_, stop_atom{});
  join(late);
  EXPECT_TRUE(early.ended);
  EXPECT_TRUE(late.ended);
}

}  // namespace
}  // namespace towline::driver
