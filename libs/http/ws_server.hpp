// The requests to one server over WebSocket: which connection takes which request, when another connection is opened,
// and what follows from an answer, a notification and a lost connection. A connection carries one request at a time, so
// the next message is its answer. It runs on the thread of its io_context, as do all calls.
#pragma once
#include <absl/time/time.h>

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libs/http/push_backoff.hpp"
#include "libs/http/ws_connection.hpp"

namespace towline::http {

struct WsJob {
  std::uint64_t id = 0;
  Request request;
  std::function<void(Response)> done;
  absl::Time started;
  std::unique_ptr<boost::asio::steady_timer> deadline;
  /// The request was sent again because an idle connection turned out to be closed. That happens once.
  bool again = false;
};

/// Requests that differ in a header, the proxy or the CA file go to different servers, even with one URL.
class WsServer final : private WsConnection::Handler {
 public:
  struct Limits {
    std::size_t connections, waiting;
  };
  /// Called when a job is over.
  using Finish = std::function<void(WsJob&, Response)>;

  WsServer(boost::asio::io_context& io, WsTarget target, Limits limits, Finish finish)
      : io_{io}, target_{std::move(target)}, limits_{limits}, finish_{std::move(finish)} {}
  ~WsServer() override;
  WsServer(const WsServer&) = delete;
  WsServer& operator=(const WsServer&) = delete;

  void add(std::shared_ptr<WsJob> job);
  /// Drops a job that ended without an answer. Its connection is closed, because the answer may still come.
  void forget(std::uint64_t id);
  /// Closes connections that were idle for `idle`.
  void reap(absl::Time now, absl::Duration idle);
  bool empty() const { return lines_.empty() && waiting_.empty(); }

 private:
  struct Line {
    std::shared_ptr<WsConnection> connection;
    std::shared_ptr<WsJob> job;
    bool open = false;
    bool served = false;
    absl::Time used;
    FloodGuard unasked;
  };

  Line* line_of(const WsConnection& c);
  Line take_out(WsConnection& c);
  void hang_up(WsConnection& c) { take_out(c).connection->close(); }
  /// Gives waiting requests to idle connections, and opens connections for the rest.
  void go_on();

  void on_open(WsConnection& c) override;
  void on_message(WsConnection& c, std::string message) override;
  void on_down(WsConnection& c, Response why) override;

  boost::asio::io_context& io_;
  const WsTarget target_;
  const Limits limits_;
  const Finish finish_;
  std::deque<std::shared_ptr<WsJob>> waiting_;
  std::vector<Line> lines_;
  absl::Time pause_ = absl::InfinitePast();
};

}  // namespace towline::http
