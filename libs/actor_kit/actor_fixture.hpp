// Actors in a test: one thread and virtual time, so that a test decides the order of events. No other thread, such as
// gRPC's or HTTP's, may send into `system`.
#pragma once
#include <gtest/gtest.h>

#include <caf/actor_cast.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/send.hpp>
#include <chrono>
#include <vector>

namespace towline::testing {

class ActorTest : public ::testing::Test {
 protected:
  ActorTest() { scheduler.clock().current_time += std::chrono::hours{1}; }
  ~ActorTest() override {
    for (const auto& a : owned_) caf::anon_send_exit(a, caf::exit_reason::kill);
    scheduler.run();
  }

  /// Keeps an actor that ends with the test, so that its timers do not go on for ever.
  template <class Handle>
  Handle own(Handle h) {
    owned_.push_back(caf::actor_cast<caf::strong_actor_ptr>(h));
    return h;
  }
  /// Handles every waiting message; timers stay.
  void dispatch() { scheduler.run(); }
  /// Moves the time on in steps, so that timers which are set meanwhile also go off in time.
  void advance(std::chrono::milliseconds total, std::chrono::milliseconds step = std::chrono::milliseconds{10}) {
    for (auto t = std::chrono::milliseconds{0}; t < total; t += step) {
      scheduler.advance_time(step);
      scheduler.run();
    }
  }

 private:
  struct Config : caf::actor_system_config {
    Config() { set("scheduler.policy", caf::atom("testing")); }
  };
  Config config_;

 protected:
  caf::actor_system system{config_};
  caf::scheduler::test_coordinator& scheduler = dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());

 private:
  std::vector<caf::strong_actor_ptr> owned_;
};

}  // namespace towline::testing
