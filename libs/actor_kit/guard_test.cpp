#include "libs/actor_kit/guard.hpp"

#include <gtest/gtest.h>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <caf/typed_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <stdexcept>

#include "libs/base/exit_code.hpp"

namespace towline {
namespace {

using fail_atom = caf::atom_constant<caf::atom("fail")>;
using failing_actor = caf::typed_actor<caf::reacts_to<fail_atom>>;

failing_actor::behavior_type failing(failing_actor::pointer self) {
  guard(self, "failing");
  return {[](fail_atom) { throw std::runtime_error{"as the test says"}; }};
}

template <caf::spawn_options Options>
void fail() {
  caf::actor_system_config config;
  caf::actor_system system{config};
  const auto actor = system.spawn<Options>(failing);
  caf::anon_send(actor, fail_atom{});
  caf::scoped_actor { system } -> wait_for(actor);
}

TEST(GuardDeathTest, AnActorThatThrowsEndsTheProcessAndIsNamed) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(fail<caf::no_spawn_options>(), ::testing::ExitedWithCode(kExitBroken), "failing.*as the test says");
  EXPECT_EXIT(fail<caf::detached>(), ::testing::ExitedWithCode(kExitBroken), "failing.*as the test says");
}

}  // namespace
}  // namespace towline
