// Requests of JSON-RPC, many at once, connections kept alive. HTTP POST on one thread: HTTP/1.1 over plain text, HTTP/2
// where TLS negotiates it (libcurl 7.88 cannot reuse a plain-text HTTP/2 connection). WebSocket on another
// (websocket.hpp), which is started by the first request of a ws or wss URL.
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
  /// Cancels what is in flight (its callbacks run) and joins the thread.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// `done` runs exactly once, on a thread of the client: hand over and return. The answer comes as it was packed.
  std::uint64_t post(Request request, std::function<void(Response)> done);
  /// Subscribes to newHeads at a ws or wss URL, on a connection of its own that is set up anew whenever it ends, until
  /// cancel(). `tell` runs on a thread of the client: hand over and return. It is told of heads 10 times a second at
  /// most. The request's body and limit are not used, its timeout is that of each attempt.
  std::uint64_t subscribe_heads(Request request, std::function<void(Push)> tell);
  /// Of a request or a subscription. A call of `tell` that has begun may still run when this returns.
  void cancel(std::uint64_t id);
  /// Cancels everything in flight and ends subscriptions; what is posted later is cancelled at once.
  void cancel_all();

  /// `turn` is called when the client's threads have got to it: a watchdog asks so whether they live.
  void ask_turn(std::function<void()> turn);

  /// post(), wait, and decoded() (encoding.hpp) in the caller's thread. Not from a callback. `cancelled` is asked now
  /// and then; once it is true the request is cancelled.
  Response post_and_wait(Request request, const std::function<bool()>& cancelled = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace towline::http
