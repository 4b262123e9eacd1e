// The fork schedule for pollers, who bring what sources say of it, and for who reads headers. What is new is logged.
// Thread safe.
#pragma once
#include <absl/time/clock.h>

#include <mutex>

#include "libs/jsonrpc/jsonrpc.hpp"
#include "libs/telemetry/log.hpp"
#include "services/remote-fetcher/core/fork_schedule.hpp"

namespace towline::fetcher {

class ForkBoard {
 public:
  explicit ForkBoard(rollup::Config own) : schedule_{std::move(own)} {}

  /// The answer to optimism_rollupConfig (a CL) or eth_config (an EL); an error or null means that it does not say.
  void on_rollup_config(const std::string& endpoint, const jsonrpc::Answer& a) {
    on_answer(endpoint, a, &ForkSchedule::on_rollup_config);
  }
  void on_eth_config(const std::string& endpoint, const jsonrpc::Answer& a) {
    on_answer(endpoint, a, &ForkSchedule::on_eth_config);
  }
  void forget(const std::string& endpoint) {
    std::lock_guard lock{mutex_};
    schedule_.forget(endpoint);
  }
  /// A header whose hash verifies, instead of rollup::check_header_shape(): it is good, whatever the schedule says.
  void on_header(const eth::Header& h) {
    std::optional<ForkNews> news;
    {
      std::lock_guard lock{mutex_};
      news = schedule_.on_header(h);
    }
    if (news) log::warn(news->what, {log::kv("fork", news->fork)});
  }

 private:
  template <class F>
  void on_answer(const std::string& endpoint, const jsonrpc::Answer& a, F tell) {
    if (a.kind != jsonrpc::Answer::Kind::result || a.result.is_null()) return;
    std::vector<ForkNews> news;
    absl::Status st;
    {
      std::lock_guard lock{mutex_};
      st = (schedule_.*tell)(endpoint, a.result, static_cast<std::uint64_t>(absl::ToUnixSeconds(absl::Now())), news);
    }
    if (!st.ok()) log::debug("no fork schedule", {log::kv("endpoint", endpoint), log::kv("why", st)});
    for (const auto& n : news)
      log::warn(n.what, {log::kv("endpoint", endpoint), log::kv("fork", n.fork), log::kv("here", n.here),
                         log::kv("there", n.there)});
  }
  std::mutex mutex_;
  ForkSchedule schedule_;
};

}  // namespace towline::fetcher
