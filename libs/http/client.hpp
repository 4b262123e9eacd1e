// JSON-RPC requests, many at once, over kept connections. HTTP POST on one thread: HTTP/1.1 over plain text, HTTP/2
// where TLS negotiates it (libcurl 7.88 cannot reuse a plain-text HTTP/2 connection). WebSocket on another thread
// (websocket.hpp), which the first request to a ws or wss URL starts.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>

#include "libs/http/transport.hpp"
#include "libs/http/url.hpp"

namespace towline::http {

class Client final : public Transport {
 public:
  Client();
  /// Cancels all requests in flight (their callbacks run) and joins the threads.
  ~Client() override;

  std::uint64_t post(Request request, std::function<void(Response)> done) override;
  std::uint64_t subscribe_heads(Request request, std::function<void(Push)> tell) override;
  void cancel(std::uint64_t id) override;
  void cancel_all() override;
  void ask_turn(std::function<void()> turn) override;

  /// post(), wait, and decoded() (encoding.hpp) in the caller's thread. Not from a callback. `cancelled` is asked every
  /// 100 ms; once it is true the request is cancelled.
  Response post_and_wait(Request request, const std::function<bool()>& cancelled = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace towline::http
