// A timer that calls a function unless it is cancelled first.
#pragma once
#include <absl/time/time.h>

#include <boost/asio/steady_timer.hpp>
#include <functional>

namespace towline::http {

inline void call_after(boost::asio::steady_timer& timer, absl::Duration wait, std::function<void()> f) {
  timer.expires_after(absl::ToChronoNanoseconds(wait));
  timer.async_wait([f = std::move(f)](boost::system::error_code ec) {
    if (!ec) f();
  });
}

}  // namespace towline::http
