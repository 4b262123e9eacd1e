// Two TCP relays in the way of a follower, which tell when bytes pass:
//
//   towline-bench-relay P2P_PORT ENGINE_PORT
//
// The first leads to the sequencer's libp2p port: "p2p NS BYTES" after bytes of the sequencer were handed on. The
// second leads to the follower's EL: "payload NS" for the last byte of an engine_newPayload, told when the EL answers.
// NS is of the monotonic clock, which Python's time.monotonic() reads too.
//
// The first line is "ports P2P ENGINE" (of 127.0.0.1). It relays until it is killed, with two threads a connection.
#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

long long now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void tell(const std::string& line) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  std::puts(line.c_str());
  std::fflush(stdout);
}

/// What one connection tells. `upward`: towards the target. Called after the bytes were handed on, which took until
/// `at`; by two threads.
using See = std::function<void(bool upward, std::string_view bytes, long long at)>;

See see_p2p() {
  return [](bool upward, std::string_view bytes, long long at) {
    if (!upward) tell("p2p " + std::to_string(at) + " " + std::to_string(bytes.size()));
  };
}

See see_engine() {
  struct Request {
    std::mutex mutex;
    // The first bytes: the head of a request may come before its body.
    std::string begin;
    std::optional<long long> last;
  };
  return [r = std::make_shared<Request>()](bool upward, std::string_view bytes, long long at) {
    const std::lock_guard lock(r->mutex);
    if (upward) {
      r->begin += bytes.substr(0, 4096 - std::min<std::size_t>(4096, r->begin.size()));
      if (r->begin.find("engine_newPayload") != std::string::npos) r->last = at;
      return;
    }
    r->begin.clear();
    if (r->last) tell("payload " + std::to_string(*r->last));
    r->last.reset();
  };
}

void pump(tcp::socket& from, tcp::socket& to, bool upward, const See& see) {
  std::vector<char> buffer(1 << 18);
  boost::system::error_code ec;
  while (true) {
    const std::size_t n = from.read_some(asio::buffer(buffer), ec);
    if (ec) break;
    asio::write(to, asio::buffer(buffer, n), ec);
    if (ec) break;
    see(upward, {buffer.data(), n}, now_ns());
  }
  from.shutdown(tcp::socket::shutdown_both, ec);
  to.shutdown(tcp::socket::shutdown_both, ec);
}

/// Relays each connection to `port`. `see()` makes what a connection tells.
void relay(tcp::acceptor& acceptor, std::uint16_t port, See (*see)()) {
  while (true) {
    const auto down = std::make_shared<tcp::socket>(acceptor.accept());
    const auto up = std::make_shared<tcp::socket>(acceptor.get_executor());
    boost::system::error_code ec;
    up->connect({asio::ip::address_v4::loopback(), port}, ec);
    if (ec) continue;  // the target is away: the connection closes
    down->set_option(tcp::no_delay(true));
    up->set_option(tcp::no_delay(true));
    const See s = see();
    std::thread([=] { pump(*down, *up, true, s); }).detach();
    std::thread([=] { pump(*up, *down, false, s); }).detach();
  }
}

std::optional<std::uint16_t> port_of(std::string_view text) {
  std::uint16_t port = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), port);
  if (end.ec != std::errc() || end.ptr != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

}  // namespace

int main(int argc, char** argv) {
  const auto p2p = port_of(argc == 3 ? argv[1] : ""), engine = port_of(argc == 3 ? argv[2] : "");
  if (!p2p || !engine) {
    std::fprintf(stderr, "usage: towline-bench-relay P2P_PORT ENGINE_PORT\n");
    return 2;
  }
  asio::io_context io;
  tcp::acceptor for_p2p(io, {asio::ip::address_v4::loopback(), 0}),
      for_engine(io, {asio::ip::address_v4::loopback(), 0});
  tell("ports " + std::to_string(for_p2p.local_endpoint().port()) + " " +
       std::to_string(for_engine.local_endpoint().port()));
  std::thread([&] { relay(for_p2p, *p2p, see_p2p); }).detach();
  relay(for_engine, *engine, see_engine);
}
