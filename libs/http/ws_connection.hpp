// One client connection over WebSocket: host name, TCP, proxy, TLS, upgrade, then messages, whose meaning it does not
// know. It runs on the thread of its io_context, as do all calls.
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "libs/http/message.hpp"
#include "libs/http/url.hpp"

namespace boost::asio {
class io_context;
}

namespace towline::http {

struct WsTarget {
  Url url;
  std::vector<std::string> headers;
  std::string ca_file;
  /// "": no proxy.
  std::string proxy;
};

class WsConnection {
 public:
  class Handler {
   public:
    virtual ~Handler() = default;
    virtual void on_open(WsConnection& c) = 0;
    virtual void on_message(WsConnection& c, std::string message) = 0;
    /// The last call: the connection ended, or could not be opened. A refused upgrade is a Response with the server's
    /// status and no failure.
    virtual void on_down(WsConnection& c, Response why) = 0;
  };

  virtual ~WsConnection() = default;
  /// One message at a time. Messages that come from now on may have `max_message` bytes.
  virtual void send(std::string message, std::size_t max_message) = 0;
  /// The last message has not left completely.
  virtual bool sending() const = 0;
  /// Closes at once, without a closing handshake, so that a faulty server cannot delay it. The handler is not called
  /// any more.
  virtual void close() = 0;
};

/// `handler` must outlive the connection, or close() it. It is never called within this function.
std::shared_ptr<WsConnection> open_websocket(boost::asio::io_context& io, WsTarget target,
                                             WsConnection::Handler& handler);

}  // namespace towline::http
