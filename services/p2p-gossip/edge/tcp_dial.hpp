// One attempt to connect to a peer's address: resolves the name, and uses the first of its addresses that accepts the
// connection.
#pragma once
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <boost/asio.hpp>
#include <functional>

#include "libs/p2p/multiaddr.hpp"

namespace towline::gossip {

struct DialledSocket {
  boost::asio::ip::tcp::socket socket;
  p2p::SocketAddress address;
};

/// `done` is called once, on the loop. `timeout` covers name resolution and connection together. DEADLINE_EXCEEDED: it
/// is over. UNAVAILABLE: no address, or no connection.
void tcp_dial(boost::asio::io_context& io, const p2p::Multiaddr& address, absl::Duration timeout,
              std::function<void(absl::StatusOr<DialledSocket>)> done);

}  // namespace towline::gossip
