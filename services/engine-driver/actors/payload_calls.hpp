// The EL as the writer sees it. engine_newPayload, which comes once for each block, is sent without a thread that
// waits: such a thread would be woken twice for each block. All other calls go on to the engine.
//
// Owns: the calls in flight. In: effects, and the EL's answers to payloads. Out: the answers. Timers: while calls are
// in flight, a look each 100 ms whether the process stops and their time is over. The engine answers what was handed on
// to it; if it fails, guard ends the process.
#pragma once
#include <caf/typed_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <map>
#include <memory>

#include "services/engine-driver/actors/engine.hpp"

namespace towline::driver {

/// For a single receiver, which moves the response out.
using ResponsePtr = std::shared_ptr<http::Response>;

using answered_atom = caf::atom_constant<caf::atom("answered")>;
using look_again_atom = caf::atom_constant<caf::atom("lookagain")>;
/// The number names the call.
using payload_calls_impl =
    engine_actor::extend<caf::reacts_to<answered_atom, std::uint64_t, ResponsePtr>, caf::reacts_to<look_again_atom>>;

class payload_calls_state {
 public:
  static inline const char* name = "payload_calls";
  explicit payload_calls_state(payload_calls_impl::pointer self) : self_{self} {}
  payload_calls_impl::behavior_type make_behavior(EngineClient* client, engine_actor engine);

 private:
  struct Call {
    EngineClient::Sent sent;
    caf::typed_response_promise<EventPtr> answer;
  };
  caf::typed_response_promise<EventPtr> send(const PreparedPayload& payload);
  void on_answered(std::uint64_t number, http::Response response);
  /// One look at a time is on its way.
  void watch();

  payload_calls_impl::pointer self_;
  EngineClient* client_ = nullptr;
  engine_actor engine_;
  std::map<std::uint64_t, Call> calls_;
  std::uint64_t last_ = 0;
  bool watched_ = false;
};

/// `client` must outlive the actor.
payload_calls_impl::behavior_type payload_calls(payload_calls_impl::stateful_pointer<payload_calls_state> self,
                                                EngineClient* client, engine_actor engine);

}  // namespace towline::driver

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::ResponsePtr)
