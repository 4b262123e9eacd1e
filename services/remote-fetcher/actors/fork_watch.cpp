#include "services/remote-fetcher/actors/fork_watch.hpp"

#include <absl/time/clock.h>

#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/guard.hpp"
#include "libs/telemetry/log.hpp"

namespace towline::fetcher {

fork_watch_actor::behavior_type fork_watch(fork_watch_actor::pointer self, const rollup::Config& own) {
  guard(self, "fork_watch");
  const auto schedule = std::make_shared<ForkSchedule>(own);
  const auto tell = [schedule](const ForkAnswer& said, auto method) {
    if (said.answer.kind != jsonrpc::Answer::Kind::result || said.answer.result.is_null()) return;
    std::vector<ForkNews> news;
    const auto st = ((*schedule).*method)(said.endpoint, said.answer.result,
                                          static_cast<std::uint64_t>(absl::ToUnixSeconds(absl::Now())), news);
    if (!st.ok()) log::debug("no fork schedule", {log::kv("endpoint", said.endpoint), log::kv("why", st)});
    for (const auto& n : news)
      log::warn(n.what, {log::kv("endpoint", said.endpoint), log::kv("fork", n.fork), log::kv("here", n.here),
                         log::kv("there", n.there)});
  };
  return {
      [tell](rollup_atom, const ForkAnswerPtr& a) { tell(*a, &ForkSchedule::on_rollup_config); },
      [tell](eth_atom, const ForkAnswerPtr& a) { tell(*a, &ForkSchedule::on_eth_config); },
      [schedule](forget_atom, const std::string& endpoint) { schedule->forget(endpoint); },
      [schedule](headers_atom, const HeadersPtr& headers) {
        for (const eth::Header& h : *headers)
          if (const auto news = schedule->on_header(h)) log::warn(news->what, {log::kv("fork", news->fork)});
      },
  };
}

}  // namespace towline::fetcher
