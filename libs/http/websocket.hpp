// JSON-RPC over WebSocket, used like HTTP/1.1: one request at a time on a connection, a few connections to each server;
// further requests wait. So the next message is the answer, and a late answer finds its connection closed.
// Subscriptions have connections of their own. One thread, started by the first use, does all the work (ws_server,
// ws_subscription, ws_connection). Beast does the frames of RFC 6455.
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

  /// `idle`: how long an unused connection is kept.
  explicit WebSockets(absl::Duration idle = absl::Seconds(30));
  ~WebSockets();
  WebSockets(const WebSockets&) = delete;
  WebSockets& operator=(const WebSockets&) = delete;

  /// As the functions of Client; the caller gives out the ids.
  void post(std::uint64_t id, Request request, std::function<void(Response)> done);
  void subscribe_heads(std::uint64_t id, Request request, std::function<void(Push)> tell);
  void cancel(std::uint64_t id);
  void cancel_all();
  /// Calls `turn` when the thread gets to it, or at once if there is no thread.
  void ask_turn(std::function<void()> turn);
  /// cancel_all(), then ends the thread.
  void stop();

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace towline::http
