// Publishes the driver's state to its watchers.
//
// Owns: the subscribers; sets the last published state in `latest`. In: the state from the writer, subscribers that
// join and leave. Out: the state to each subscriber, at each change and once a second as a sign of life. Timers: that
// second.
#pragma once
#include <caf/typed_actor.hpp>
#include <memory>

#include "libs/actor_kit/published.hpp"
#include "libs/actor_kit/subscribers.hpp"
#include "libs/actor_kit/terminator.hpp"
#include "libs/contract/engine.hpp"

namespace towline::driver {

/// The state, and when the last command was admitted (or the process started).
struct Shown {
  contract::EngineState state;
  absl::Time commanded;
};
using ShownPtr = std::shared_ptr<const Shown>;
/// The state with `idle` as of `now`.
contract::EngineState state_at(const Shown& shown, absl::Time now);

using StateSubscriber = Subscriber<contract::EngineState>;
using StateSubscriberPtr = std::shared_ptr<const StateSubscriber>;

using state_atom = caf::atom_constant<caf::atom("state")>;
using tick_atom = caf::atom_constant<caf::atom("tick")>;
using state_hub_actor =
    caf::typed_actor<caf::reacts_to<state_atom, ShownPtr>, caf::reacts_to<join_atom, StateSubscriberPtr>,
                     caf::reacts_to<leave_atom, StateSubscriberPtr>, caf::reacts_to<stop_atom>>;
using state_hub_impl = state_hub_actor::extend<caf::reacts_to<tick_atom>>;

class state_hub_state {
 public:
  static inline const char* name = "state_hub";
  explicit state_hub_state(state_hub_impl::pointer self) : self_{self} {}
  state_hub_impl::behavior_type make_behavior(Published<Shown>* latest);

 private:
  void tell_all();
  state_hub_impl::pointer self_;
  Published<Shown>* latest_ = nullptr;
  Subscribers<contract::EngineState> subscribers_;
};

/// `latest` holds the first state and must outlive the actor, which is its only writer from then on.
state_hub_impl::behavior_type state_hub(state_hub_impl::stateful_pointer<state_hub_state> self,
                                        Published<Shown>* latest);

}  // namespace towline::driver

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::ShownPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::StateSubscriberPtr)
