// JSON-RPC requests, many at once, over kept connections. HTTP POST on one thread: HTTP/1.1 over plain text, HTTP/2
// where TLS negotiates it (libcurl 7.88 cannot reuse a plain-text HTTP/2 connection). WebSocket on another thread
// (websocket.hpp), which the first request to a ws or wss URL starts.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>

#include "libs/http/message.hpp"
#include "libs/http/url.hpp"

namespace towline::http {

class Client {
 public:
  Client();
  /// Cancels all requests in flight (their callbacks run) and joins the threads.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// `done` runs exactly once, on a thread of the client: hand over and return. The body is still packed: see
  /// encoding.hpp.
  std::uint64_t post(Request request, std::function<void(Response)> done);
  /// Subscribes to newHeads at a ws or wss URL until cancel(), on a connection of its own that is opened again whenever
  /// it ends. `tell` runs on a thread of the client: hand over and return. It reports heads at most 10 times a second.
  /// The request's body and limit are not used; its timeout applies to each attempt.
  std::uint64_t subscribe_heads(Request request, std::function<void(Push)> tell);
  /// Cancels a request or a subscription. A call of `tell` that has begun may still run when this returns.
  void cancel(std::uint64_t id);
  /// Cancels all requests in flight and ends subscriptions; later requests are cancelled at once.
  void cancel_all();

  /// Calls `turn` on the client's threads when they get to it: a watchdog sees so whether they live.
  void ask_turn(std::function<void()> turn);

  /// post(), wait, and decoded() (encoding.hpp) in the caller's thread. Not from a callback. `cancelled` is asked every
  /// 100 ms; once it is true the request is cancelled.
  Response post_and_wait(Request request, const std::function<bool()>& cancelled = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace towline::http
