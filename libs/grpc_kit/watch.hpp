// A stream of the values that an actor with subscribers (actor_kit/subscribers.hpp) shows; a slow reader gets only the
// latest.
#pragma once
#include <caf/send.hpp>
#include <memory>
#include <utility>

#include "libs/actor_kit/subscribers.hpp"
#include "libs/grpc_kit/server_calls.hpp"

namespace towline::grpc_kit {

/// Subscribes to `hub` until the caller is gone. `place` is held until the call is over; `message(value)` makes the
/// response.
template <class Response, class T, class Hub, class Message>
grpc::ServerWriteReactor<Response>* watch(std::shared_ptr<void> place, const Hub& hub, Message message) {
  // The subscriber owns the call, so the call has only a weak reference to it.
  const auto slot = std::make_shared<std::weak_ptr<const Subscriber<T>>>();
  const auto call = StreamCall<Response>::make({{}, [place = std::move(place), slot, hub] {
                                                  if (const typename Subscribers<T>::Ptr s = slot->lock())
                                                    caf::anon_send(hub, leave_atom{}, s);
                                                }});
  const typename Subscribers<T>::Ptr subscriber = std::make_shared<const Subscriber<T>>(
      Subscriber<T>{[call, message = std::move(message)](const T& value) { call->offer(message(value)); },
                    [call] {
                      call->close({grpc::StatusCode::UNAVAILABLE, "shutting down"});
                    }});
  *slot = subscriber;
  caf::anon_send(hub, join_atom{}, subscriber);
  return call.get();
}

}  // namespace towline::grpc_kit
