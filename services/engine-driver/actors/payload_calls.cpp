#include "services/engine-driver/actors/payload_calls.hpp"

#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/guard.hpp"

namespace towline::driver {
namespace {
constexpr std::chrono::milliseconds kLookEvery{100};
}

payload_calls_impl::behavior_type payload_calls_state::make_behavior(EngineClient* client, engine_actor engine) {
  client_ = client;
  engine_ = std::move(engine);
  return {[this](call_atom, const EffectPtr& e) -> caf::result<EventPtr> {
            if (const auto* payload = std::get_if<SendPayload>(e.get())) return send(*payload->payload);
            return self_->delegate(engine_, call_atom{}, e);
          },
          [this](blocks_atom, const NumbersPtr& numbers) { return self_->delegate(engine_, blocks_atom{}, numbers); },
          [this](answered_atom, std::uint64_t number, const ResponsePtr& r) { on_answered(number, std::move(*r)); },
          [this](look_again_atom) {
            watched_ = false;
            for (const auto& [number, call] : calls_) {
              if (client_->is_over(call.sent)) client_->cancel(call.sent);
            }
            if (!calls_.empty()) watch();
          }};
}

caf::typed_response_promise<EventPtr> payload_calls_state::send(const PreparedPayload& payload) {
  Call& call = calls_[++last_];
  call.answer = self_->make_response_promise<EventPtr>();
  call.sent =
      client_->send_new_payload(payload.body, [me = payload_calls_impl{self_}, number = last_](http::Response r) {
        caf::anon_send(me, answered_atom{}, number, std::make_shared<http::Response>(std::move(r)));
      });
  watch();
  return call.answer;
}

void payload_calls_state::on_answered(std::uint64_t number, http::Response response) {
  const auto call = calls_.extract(number);
  if (!call) return;
  call.mapped().answer.deliver(
      std::make_shared<Event>(client_->new_payload_answer(call.mapped().sent, std::move(response))));
}

void payload_calls_state::watch() {
  if (!std::exchange(watched_, true)) self_->delayed_send(self_, kLookEvery, look_again_atom{});
}

payload_calls_impl::behavior_type payload_calls(payload_calls_impl::stateful_pointer<payload_calls_state> self,
                                                EngineClient* client, engine_actor engine) {
  guard(static_cast<payload_calls_impl::pointer>(self), "payload_calls");
  return self->state.make_behavior(client, std::move(engine));
}

}  // namespace towline::driver
