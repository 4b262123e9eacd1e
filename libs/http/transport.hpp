// Carries requests to servers. http::Client does it over the network; tests use their own transport.
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

  /// `done` runs exactly once, on a thread of the transport: hand over and return. The body is still packed: see
  /// encoding.hpp.
  virtual std::uint64_t post(Request request, std::function<void(Response)> done) = 0;
  /// Subscribes to newHeads at a ws or wss URL until cancel(), on a connection of its own that is opened again whenever
  /// it ends. `tell` runs on a thread of the transport: hand over and return. It reports heads at most 10 times a
  /// second. The request's body and limit are not used; its timeout applies to each attempt.
  virtual std::uint64_t subscribe_heads(Request request, std::function<void(Push)> tell) = 0;
  /// Cancels a request or a subscription. A call of `tell` that has begun may still run when this returns.
  virtual void cancel(std::uint64_t id) = 0;
  /// Cancels all requests in flight and ends subscriptions; later requests are cancelled at once.
  virtual void cancel_all() = 0;
  /// Calls `turn` on the transport's threads when they get to it: a watchdog sees so whether they live.
  virtual void ask_turn(std::function<void()> turn) = 0;
};

}  // namespace towline::http
