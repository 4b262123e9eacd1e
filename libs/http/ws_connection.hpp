// One WebSocket connection as a client: host name, TCP, proxy, TLS, upgrade, then messages. It runs on the thread of
// its io_context, as do all calls. It knows nothing of what the messages mean.
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
  /// "": none.
  std::string proxy;
};

class WsConnection {
 public:
  class Handler {
   public:
    virtual ~Handler() = default;
    virtual void on_open(WsConnection& c) = 0;
    virtual void on_message(WsConnection& c, std::string message) = 0;
    /// The last call: it ended, or could not be opened. A refused upgrade is a Response with the status that the server
    /// gave, and no failure.
    virtual void on_down(WsConnection& c, Response why) = 0;
  };

  virtual ~WsConnection() = default;
  /// One message at a time. What comes from now on may be `max_message` bytes long.
  virtual void send(std::string message, std::size_t max_message) = 0;
  /// What was sent has not left yet.
  virtual bool sending() const = 0;
  /// At once, without a farewell: a server that does not behave gets no say in how long it takes. The handler is not
  /// called any more.
  virtual void close() = 0;
};

/// `handler` must outlive the connection, or close() it. It is called later, never by this function.
std::shared_ptr<WsConnection> open_websocket(boost::asio::io_context& io, WsTarget target,
                                             WsConnection::Handler& handler);

}  // namespace towline::http
