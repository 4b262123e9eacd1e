#include "services/sync-coordinator/actors/status_hub.hpp"

#include <gmock/gmock.h>

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/actor_fixture.hpp"

namespace towline::coordinator {
namespace {

class StatusHubTest : public towline::testing::ActorTest {
 protected:
  void tell(std::uint64_t tow, std::uint64_t distance) {
    TowView v;
    v.distance = distance;
    caf::anon_send(hub_, view_atom{}, tow, std::make_shared<const TowView>(v));
    dispatch();
  }
  StatusSubscriberPtr join() {
    auto s = std::make_shared<const StatusSubscriber>(StatusSubscriber{
        [this](const SyncStatus& status) { seen_.push_back(status.views.size()); }, [this] { ++ended_; }});
    caf::anon_send(hub_, join_atom{}, s);
    dispatch();
    return s;
  }

  Published<SyncStatus> latest_{SyncStatus{}};
  status_hub_actor hub_ = own(system.spawn(status_hub, &latest_));
  std::vector<std::size_t> seen_;
  int ended_ = 0;
};

TEST_F(StatusHubTest, KeepsTheLastViewOfEachTowInTheirOrder) {
  tell(1, 10);
  tell(0, 20);
  tell(1, 30);
  const auto s = latest_.get();
  ASSERT_EQ(s->views.size(), 2U);
  EXPECT_EQ(s->views.begin()->second->distance, 20U);
  EXPECT_EQ(s->views.rbegin()->second->distance, 30U);
}

TEST_F(StatusHubTest, TellsAtOnceAtEachChangeAndEachSecond) {
  const auto s = join();
  tell(0, 1);
  advance(std::chrono::milliseconds{1500});
  EXPECT_THAT(seen_, ::testing::ElementsAre(0, 1, 1));
  caf::anon_send(hub_, leave_atom{}, s);
  dispatch();
  tell(1, 1);
  EXPECT_EQ(seen_.size(), 3U);
}

TEST_F(StatusHubTest, EndsTheWatchesWhenItStopsAndThoseThatComeLater) {
  join();
  caf::anon_send(hub_, stop_atom{});
  join();
  EXPECT_EQ(ended_, 2);
}

}  // namespace
}  // namespace towline::coordinator
