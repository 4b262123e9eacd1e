#include "services/p2p-gossip/actors/clock_poller.hpp"

#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/guard.hpp"
#include "services/p2p-gossip/core/clock_vote.hpp"

namespace towline::gossip {
namespace {

constexpr auto kClockEach = std::chrono::seconds{60}, kClockSoon = std::chrono::seconds{10};

std::optional<absl::Duration> ahead_of(http::Client& client, const std::vector<std::string>& urls) {
  std::vector<absl::Duration> ahead;
  for (const auto& url : urls) {
    http::Request request;
    request.url = url;
    request.proxy = std::nullopt;  // the proxy of the environment
    request.max_response_bytes = 1U << 20U;
    request.timeout = absl::Seconds(3);
    request.body = R"({"jsonrpc":"2.0","id":0,"method":"eth_chainId","params":[]})";
    const http::Response r = client.post_and_wait(std::move(request));
    // A Date header is truncated to the second: the middle of that second is the best estimate.
    if (r.date) ahead.push_back(r.date_read - *r.date - absl::Milliseconds(500));
  }
  return vote_of_clocks(std::move(ahead));
}

}  // namespace

clock_poller_actor::behavior_type clock_poller(clock_poller_actor::pointer self, const ClockPollerConfig& config) {
  guard(self, "clock_poller");
  self->send(self, tick_atom{});
  return {[=](tick_atom) {
    const auto ahead = ahead_of(*config.client, config.urls);
    config.validator->set_clock(ahead);
    if (ahead)
      config.metrics->gauge("towline_gossip_clock_ahead_seconds", "Our clock against the sources', to half a second.")
          .set(absl::ToDoubleSeconds(*ahead));
    self->delayed_send(self, config.validator->doubt().empty() ? kClockEach : kClockSoon, tick_atom{});
  }};
}

}  // namespace towline::gossip
