// A listening socket on an Asio loop: hands over accepted sockets, and survives a lack of file descriptors.
#pragma once
#include <absl/status/status.h>

#include <boost/asio.hpp>
#include <cstdint>
#include <functional>
#include <string>

namespace towline::gossip {

class TcpListener {
 public:
  using Accepted = std::function<void(boost::asio::ip::tcp::socket)>;
  explicit TcpListener(boost::asio::io_context& io) : acceptor_{io}, pause_{io} {}

  /// `port` 0: any. `accepted` is called on the loop. INVALID_ARGUMENT: `ip` is not an IP address. UNAVAILABLE: the
  /// socket cannot listen.
  absl::Status start(const std::string& ip, std::uint16_t port, Accepted accepted);
  std::uint16_t port() const { return port_; }
  /// To be called on the loop.
  void close();

 private:
  void accept();

  boost::asio::ip::tcp::acceptor acceptor_;
  boost::asio::steady_timer pause_;
  Accepted accepted_;
  std::uint16_t port_ = 0;
};

}  // namespace towline::gossip
