// What carries requests to servers. http::Client does it over the network; a test has one of its own.
#pragma once
#include <cstdint>
#include <functional>

#include "libs/http/message.hpp"

namespace towline::http {

class Transport {
 public:
  Transport() = default;
  virtual ~Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  /// `done` runs exactly once, on a thread of the transport: hand over and return. The answer comes as it was packed.
  virtual std::uint64_t post(Request request, std::function<void(Response)> done) = 0;
  /// Subscribes to newHeads at a ws or wss URL, on a connection of its own that is set up anew whenever it ends, until
  /// cancel(). `tell` runs on a thread of the transport: hand over and return. It is told of heads 10 times a second at
  /// most. The request's body and limit are not used, its timeout is that of each attempt.
  virtual std::uint64_t subscribe_heads(Request request, std::function<void(Push)> tell) = 0;
  /// Of a request or a subscription. A call of `tell` that has begun may still run when this returns.
  virtual void cancel(std::uint64_t id) = 0;
  /// Cancels everything in flight and ends subscriptions; what is posted later is cancelled at once.
  virtual void cancel_all() = 0;
  /// `turn` is called when the transport's threads have got to it: a watchdog asks so whether they live.
  virtual void ask_turn(std::function<void()> turn) = 0;
};

}  // namespace towline::http
