#include "libs/http/ws_subscription.hpp"

#include <algorithm>

#include "libs/base/steady_time.hpp"
#include "libs/http/asio_timer.hpp"
#include "libs/http/ws_message.hpp"

namespace towline::http {
namespace {

constexpr absl::Duration kTellEach = absl::Milliseconds(100);
constexpr const char* kSubscribe = R"({"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]})";

}  // namespace

WsSubscription::~WsSubscription() {
  if (connection_) connection_->close();
}

void WsSubscription::start() {
  connection_ = open_websocket(io_, target_, *this);
  call_after(attempt_, timeout_, guarded([this] { end(timed_out(timeout_), false); }));
}

std::function<void()> WsSubscription::guarded(std::function<void()> f) {
  return [alive = std::weak_ptr<bool>{alive_}, f = std::move(f)] {
    if (!alive.expired()) f();
  };
}

void WsSubscription::on_open(WsConnection& c) { c.send(kSubscribe, kMaxNotification); }

void WsSubscription::on_message(WsConnection&, std::string message) {
  if (!flood_.admit(steady_now())) {
    end(unavailable(Failure::other, "the server floods the subscription"), false);
    return;
  }
  const WsMessage kind = classify(message);
  if (kind == WsMessage::notification) {
    if (live_) news();
  } else if (kind == WsMessage::error) {
    end(unavailable(Failure::other, "the server refuses the subscription to newHeads"), true);
  } else if (!live_) {
    live_ = true;
    attempt_.cancel();
    backoff_.on_live(steady_now());
    tell_({Push::Kind::live, {}});
  }
}

void WsSubscription::on_down(WsConnection&, Response why) {
  // With a status, the upgrade was refused.
  const bool refused = why.status != 0 && why.status < 500 && why.status != 429;
  end(std::move(why), refused);
}

void WsSubscription::news() {
  if (told_soon_) return;
  told_soon_ = true;
  const absl::Duration wait = std::clamp(told_ + kTellEach - steady_now(), absl::ZeroDuration(), kTellEach);
  call_after(news_, wait, guarded([this] {
               told_soon_ = false;
               told_ = steady_now();
               if (live_) tell_({Push::Kind::head, {}});
             }));
}

void WsSubscription::end(Response why, bool refused) {
  live_ = false;
  if (connection_) connection_->close();
  connection_.reset();
  const absl::Duration wait = backoff_.on_end(steady_now(), refused, why.retry_after, spread_(random_));
  call_after(attempt_, wait, guarded([this] { start(); }));
  tell_({Push::Kind::down, std::move(why)});
}

}  // namespace towline::http
