// One subscription to newHeads over a WebSocket connection of its own. It reports that it is live, that there may be a
// new head (at most once in 100 ms), and that it ended; then it is set up again. It runs on the thread of its
// io_context, as do all calls.
#pragma once
#include <absl/time/time.h>

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <random>
#include <string>

#include "libs/http/push_backoff.hpp"
#include "libs/http/ws_connection.hpp"

namespace towline::http {

class WsSubscription final : private WsConnection::Handler {
 public:
  /// `timeout`: from the start to the server's confirmation.
  WsSubscription(boost::asio::io_context& io, WsTarget target, absl::Duration timeout, std::function<void(Push)> tell)
      : io_{io}, target_{std::move(target)}, timeout_{timeout}, tell_{std::move(tell)}, attempt_{io}, news_{io} {}
  ~WsSubscription() override;
  WsSubscription(const WsSubscription&) = delete;
  WsSubscription& operator=(const WsSubscription&) = delete;

  void start();

 private:
  /// `f`, unless this object is gone: an expired timer may call it later.
  std::function<void()> guarded(std::function<void()> f);
  void on_open(WsConnection& c) override;
  void on_message(WsConnection& c, std::string message) override;
  void on_down(WsConnection& c, Response why) override;
  void news();
  void end(Response why, bool refused);

  boost::asio::io_context& io_;
  const WsTarget target_;
  const absl::Duration timeout_;
  const std::function<void(Push)> tell_;
  std::shared_ptr<WsConnection> connection_;
  /// Limits an attempt, and waits for the next one.
  boost::asio::steady_timer attempt_;
  boost::asio::steady_timer news_;
  bool live_ = false;
  bool told_soon_ = false;
  absl::Time told_ = absl::InfinitePast();
  PushBackoff backoff_;
  FloodGuard flood_;
  std::mt19937_64 random_{std::random_device{}()};
  std::uniform_real_distribution<> spread_{0, 1};
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace towline::http
