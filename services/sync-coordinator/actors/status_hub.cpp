#include "services/sync-coordinator/actors/status_hub.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/guard.hpp"

namespace towline::coordinator {
namespace {
constexpr auto kEvery = std::chrono::seconds{1};
}

status_hub_impl::behavior_type status_hub(status_hub_impl::stateful_pointer<status_hub_state> self,
                                          Published<SyncStatus>* latest) {
  guard(static_cast<status_hub_impl::pointer>(self), "status_hub");
  self->delayed_send(self, kEvery, tick_atom{});
  return {[=](view_atom, std::uint64_t tow, const TowViewPtr& v) {
            SyncStatus s = *latest->get();
            s.views[tow] = v;
            self->state.subscribers.show(s);
            latest->set(std::move(s));
          },
          [=](decide_atom, std::uint64_t tow, const DecisionsPtr& d) {
            SyncStatus s = *latest->get();
            s.decisions[tow] = d;
            latest->set(std::move(s));
          },
          [=](join_atom, const StatusSubscriberPtr& s) {
            self->state.subscribers.join(s);
            s->show(*latest->get());
          },
          [=](leave_atom, const StatusSubscriberPtr& s) { self->state.subscribers.leave(s); },
          [=](stop_atom) { self->state.subscribers.end(); },
          [=](tick_atom) {
            self->state.subscribers.show(*latest->get());
            self->delayed_send(self, kEvery, tick_atom{});
          }};
}

}  // namespace towline::coordinator
