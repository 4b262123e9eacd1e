// JSON-RPC over WebSocket, used as HTTP/1.1 is: one request at a time on a connection, a few connections to each
// server, more requests wait. So the answer is the message that comes next, and one that is late finds its connection
// closed. Subscriptions have connections of their own. One thread does all the work (ws_server, ws_subscription,
// ws_connection); it begins with the first use. The frames of RFC 6455 are Beast's.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>

#include "libs/http/message.hpp"

namespace towline::http {

class WebSockets {
 public:
  static constexpr std::size_t kMaxConnections = 4;  // to one server
  static constexpr std::size_t kMaxWaiting = 256;

  /// `idle`: how long a connection is kept unused.
  explicit WebSockets(absl::Duration idle = absl::Seconds(30));
  ~WebSockets();
  WebSockets(const WebSockets&) = delete;
  WebSockets& operator=(const WebSockets&) = delete;

  /// As the functions of Client; the caller gives out the ids.
  void post(std::uint64_t id, Request request, std::function<void(Response)> done);
  void subscribe_heads(std::uint64_t id, Request request, std::function<void(Push)> tell);
  void cancel(std::uint64_t id);
  void cancel_all();
  /// `turn` is called when the thread gets to it, or at once where there is none.
  void ask_turn(std::function<void()> turn);
  /// cancel_all(), and the thread has ended.
  void stop();

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace towline::http
