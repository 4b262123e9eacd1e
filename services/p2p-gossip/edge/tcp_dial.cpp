#include "services/p2p-gossip/edge/tcp_dial.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/p2p-gossip/edge/asio_ip.hpp"

namespace towline::gossip {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;
using Host = p2p::Multiaddr::Host;

class Dial : public std::enable_shared_from_this<Dial> {
 public:
  Dial(asio::io_context& io, std::function<void(absl::StatusOr<DialledSocket>)> done)
      : resolver_{io}, socket_{io}, deadline_{io}, done_{std::move(done)} {}

  void start(const p2p::Multiaddr& address, absl::Duration timeout) {
    deadline_.expires_after(absl::ToChronoMilliseconds(timeout));
    deadline_.async_wait([self = shared_from_this()](ErrorCode ec) {
      if (!ec) self->end(absl::DeadlineExceededError("the dial took too long"));
    });
    if (address.host == Host::ip) return connect({{to_address(address.ip), address.tcp}});
    resolver_.async_resolve(
        address.name, std::to_string(address.tcp),
        [self = shared_from_this(), host = address.host](ErrorCode ec, const tcp::resolver::results_type& found) {
          self->on_resolved(host, ec, found);
        });
  }

 private:
  void on_resolved(Host host, ErrorCode ec, const tcp::resolver::results_type& found) {
    if (!done_) return;
    std::vector<tcp::endpoint> endpoints;
    for (const auto& e : found) {
      const bool v4 = e.endpoint().address().is_v4();
      if ((host == Host::dns4 && !v4) || (host == Host::dns6 && v4)) continue;
      endpoints.push_back(e.endpoint());
    }
    if (endpoints.empty())
      return end(absl::UnavailableError(ec ? ec.message() : "the name has no address of this kind"));
    connect(std::move(endpoints));
  }

  void connect(std::vector<tcp::endpoint> endpoints) {
    endpoints_ = std::move(endpoints);
    asio::async_connect(socket_, endpoints_, [self = shared_from_this()](ErrorCode ec, const tcp::endpoint& endpoint) {
      if (ec) return self->end(absl::UnavailableError(ec.message()));
      self->end(DialledSocket{std::move(self->socket_), {to_ip(endpoint.address()), endpoint.port()}});
    });
  }

  /// Later events are ignored.
  void end(absl::StatusOr<DialledSocket> result) {
    if (!done_) return;
    ErrorCode ignored;
    deadline_.cancel(ignored);
    resolver_.cancel();
    socket_.close(ignored);
    std::exchange(done_, nullptr)(std::move(result));
  }

  tcp::resolver resolver_;
  tcp::socket socket_;
  asio::steady_timer deadline_;
  std::vector<tcp::endpoint> endpoints_;
  std::function<void(absl::StatusOr<DialledSocket>)> done_;
};

}  // namespace

void tcp_dial(asio::io_context& io, const p2p::Multiaddr& address, absl::Duration timeout,
              std::function<void(absl::StatusOr<DialledSocket>)> done) {
  std::make_shared<Dial>(io, std::move(done))->start(address, timeout);
}

}  // namespace towline::gossip
