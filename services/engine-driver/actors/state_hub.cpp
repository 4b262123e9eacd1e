#include "services/engine-driver/actors/state_hub.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/guard.hpp"
#include "libs/base/steady_time.hpp"

namespace towline::driver {
namespace {
constexpr auto kShowEvery = std::chrono::seconds{1};
}

contract::EngineState state_at(const Shown& shown, absl::Time now) {
  contract::EngineState s = shown.state;
  s.idle = now - shown.commanded;
  return s;
}

state_hub_impl::behavior_type state_hub_state::make_behavior(Published<Shown>* latest) {
  latest_ = latest;
  self_->delayed_send(self_, kShowEvery, tick_atom{});
  const auto take = [this](Shown shown) {
    shown.state.watchers = static_cast<std::uint32_t>(subscribers_.size());
    latest_->set(std::move(shown));
    tell_all();
  };
  return {[take](state_atom, const ShownPtr& s) { take(*s); },
          [this, take](join_atom, const StateSubscriberPtr& s) {
            subscribers_.join(s);
            take(*latest_->get());
          },
          [this, take](leave_atom, const StateSubscriberPtr& s) {
            if (subscribers_.leave(s)) take(*latest_->get());
          },
          [this](stop_atom) { subscribers_.end(); },
          [this](tick_atom) {
            tell_all();
            self_->delayed_send(self_, kShowEvery, tick_atom{});
          }};
}

void state_hub_state::tell_all() { subscribers_.show(state_at(*latest_->get(), steady_now())); }

state_hub_impl::behavior_type state_hub(state_hub_impl::stateful_pointer<state_hub_state> self,
                                        Published<Shown>* latest) {
  guard(static_cast<state_hub_impl::pointer>(self), "state_hub");
  return self->state.make_behavior(latest);
}

}  // namespace towline::driver
