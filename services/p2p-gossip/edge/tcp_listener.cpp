#include "services/p2p-gossip/edge/tcp_listener.hpp"

#include <absl/strings/str_cat.h>

#include <chrono>

namespace towline::gossip {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;

absl::Status TcpListener::start(const std::string& ip, std::uint16_t port, Accepted accepted) {
  ErrorCode ec;
  const auto address = asio::ip::make_address(ip, ec);
  if (ec) return absl::InvalidArgumentError(absl::StrCat("--p2p.listen.ip: not an IP address: ", ip));
  const asio::ip::tcp::endpoint endpoint{address, port};
  acceptor_.open(endpoint.protocol(), ec);
  if (!ec) acceptor_.set_option(asio::socket_base::reuse_address{true}, ec);
  // "::" listens for both families, as usual.
  if (!ec && address.is_v6()) acceptor_.set_option(asio::ip::v6_only{!address.is_unspecified()}, ec);
  if (!ec) acceptor_.bind(endpoint, ec);
  if (!ec) acceptor_.listen(asio::socket_base::max_listen_connections, ec);
  if (ec) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", ip, ":", port, " for p2p: ", ec.message(),
                                               "; see --p2p.listen.ip and --p2p.listen.tcp"));
  }
  port_ = acceptor_.local_endpoint().port();
  accepted_ = std::move(accepted);
  accept();
  return absl::OkStatus();
}

void TcpListener::close() {
  ErrorCode ignored;
  acceptor_.close(ignored);
  pause_.cancel(ignored);
}

void TcpListener::accept() {
  acceptor_.async_accept([this](ErrorCode ec, asio::ip::tcp::socket socket) {
    if (ec == asio::error::operation_aborted) return;
    if (ec) {
      // Probably out of file descriptors: wait until connections have closed.
      pause_.expires_after(std::chrono::milliseconds{100});
      pause_.async_wait([this](ErrorCode e) {
        if (!e) accept();
      });
      return;
    }
    accepted_(std::move(socket));
    accept();
  });
}

}  // namespace towline::gossip
