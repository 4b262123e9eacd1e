#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <CLI/CLI.hpp>
#include <caf/actor_system.hpp>

#include "libs/base/status.hpp"
#include "libs/service/service_main.hpp"
#include "libs/telemetry/log.hpp"
#include "libs/wire/channel.hpp"
#include "services/sync-coordinator/edge/clients.hpp"
#include "services/sync-coordinator/edge/coordinator_service.hpp"

namespace towline::coordinator {
namespace {

class Coordinator final : public service::Program {
 public:
  void add_flags(CLI::App& app) override {
    chain_.add(app);
    app.add_option("--remote-fetcher", fetcher_target_, "gRPC target of the remote-fetcher")->capture_default_str();
    app.add_option("--engine-driver", driver_targets_, "gRPC target of an engine-driver; repeat it to tow several ELs")
        ->delimiter(',');
    app.add_option("--unsafe-source", unsafe_source_,
                   "where the unsafe head comes from: gossip (the p2p network), remote (the remote-fetcher), both "
                   "(whichever comes first), or none to follow the safe head")
        ->capture_default_str()
        ->check(CLI::IsMember({"both", "gossip", "remote", "none"}));
    app.add_option("--p2p-gossip", gossip_target_, "gRPC target of p2p-gossip; it may be missing")
        ->capture_default_str();
    app.add_option("--header-batch", header_batch_, "headers in one round of the search for a common block")
        ->capture_default_str()
        ->check(CLI::Range(2, 1024));
    app.add_option("--data-dir", data_dir_, "keeps the last decisions; without it they end with the process");
    app.add_option("--ready.max-blocks", limits_.blocks, "at the tip: most blocks behind")->capture_default_str();
    app.add_option("--ready.max-head-age", head_age_s_,
                   "at the tip: most seconds that the source may be silent or its head stand still; 0: 5 block times, "
                   "at least 30")
        ->capture_default_str();
    app.add_option("--ready.max-safe-age", safe_age_s_,
                   "at the tip: most seconds that safe and finalized may stand still")
        ->capture_default_str();
  }

  absl::Status start(service::Context& ctx) override {
    TOWLINE_ASSIGN_OR_RETURN(const rollup::Config config, chain_.load());
    if (driver_targets_.empty()) driver_targets_.push_back("127.0.0.1:7430");
    Follower::Options options;
    options.unsafe_from_remote = unsafe_source_ == "remote" || unsafe_source_ == "both";
    options.unsafe_from_gossip = unsafe_source_ == "gossip" || unsafe_source_ == "both";
    options.header_batch = header_batch_;
    options.genesis = config.l2_genesis;
    options.seed = static_cast<std::uint64_t>(absl::ToUnixNanos(absl::Now()));
    limits_.head_age =
        head_age_s_ > 0 ? absl::Seconds(head_age_s_)
                        : std::max(absl::Seconds(5 * static_cast<std::int64_t>(config.block_time)), absl::Seconds(30));
    limits_.safe_age = absl::Seconds(safe_age_s_);
    system_ = &ctx.system;
    const auto fetcher_channel = wire::make_channel(fetcher_target_, ctx.token);
    const auto gossip_channel = wire::make_channel(gossip_target_, ctx.token);
    for (std::size_t i = 0; i < driver_targets_.size(); ++i) {
      drivers_.push_back(make_driver_client(wire::make_channel(driver_targets_[i], ctx.token)));
      fetchers_.push_back(make_fetcher_client(fetcher_channel));
      if (options.unsafe_from_gossip) gossips_.push_back(make_gossip_client(gossip_channel));
      tows_.push_back(std::make_unique<Tow>(
          ctx.system, TowConfig{i, driver_targets_[i], options, limits_, drivers_.back().get(), fetchers_.back().get(),
                                gossips_.empty() ? nullptr : gossips_.back().get(), &board_, &ctx.metrics,
                                data_dir_.empty() ? "" : absl::StrCat(data_dir_, "/decisions-", i, ".json")}));
    }
    service_ = std::make_unique<CoordinatorService>(board_, tows_,
                                                    CoordinatorService::Targets{fetcher_target_, gossip_target_});
    log::info("coordinating", {log::kv("chain_id", config.l2_chain_id), log::kv("drivers", driver_targets_.size()),
                               log::kv("unsafe_source", unsafe_source_)});
    return absl::OkStatus();
  }

  std::vector<grpc::Service*> services() override { return {service_.get()}; }

  Readiness readiness() override {
    Readiness r{true, {}, {}, {}};
    for (const TowView& v : board_.views()) {
      // One that is not ready speaks for all; else the first does.
      if ((r.ready && !v.readiness.ready) || r.code.empty()) {
        r.ready = v.readiness.ready;
        r.code = std::string{v.readiness.code.text()};
        r.reason = v.readiness.reason;
      }
      const std::string prefix = tows_.size() > 1 ? v.driver + "." : "";
      r.details[prefix + "state"] = coordinator::name(v.readiness.state);
      if (v.distance) r.details[prefix + "distance_blocks"] = absl::StrCat(*v.distance);
      if (v.local && v.local->labels.unsafe) r.details[prefix + "head"] = eth::to_string(*v.local->labels.unsafe);
    }
    if (r.code.empty()) return {false, "starting", "no engine-driver was asked yet", {}};
    return r;
  }

  void stop() override {
    board_.stop();
    for (auto& d : drivers_) d->stop();
    for (auto& f : fetchers_) f->stop();
    for (auto& g : gossips_) g->stop();
  }

  void release() override {
    for (auto& t : tows_) t->join(*system_);
    service_.reset();
    tows_.clear();
    drivers_.clear();
    fetchers_.clear();
    gossips_.clear();
  }

 private:
  service::ChainFlags chain_;
  std::string fetcher_target_ = "dns:///127.0.0.1:7410";
  std::vector<std::string> driver_targets_;
  std::string gossip_target_ = "dns:///127.0.0.1:7440";
  std::string unsafe_source_ = "both";
  std::size_t header_batch_ = 100;
  std::string data_dir_;
  Limits limits_;
  std::int64_t head_age_s_ = 0;
  std::int64_t safe_age_s_ = absl::ToInt64Seconds(Limits{}.safe_age);

  caf::actor_system* system_ = nullptr;
  Board board_;
  std::vector<std::unique_ptr<DriverClient>> drivers_;
  std::vector<std::unique_ptr<FetcherClient>> fetchers_;
  std::vector<std::unique_ptr<GossipClient>> gossips_;
  std::vector<std::unique_ptr<Tow>> tows_;
  std::unique_ptr<CoordinatorService> service_;
};

}  // namespace
}  // namespace towline::coordinator

int main(int argc, char** argv) {
  towline::coordinator::Coordinator coordinator;
  return towline::service::service_main(
      {"sync-coordinator",
       "Decides what every towed execution client imports and what its labels become, and says why.", "127.0.0.1:7420",
       "127.0.0.1:7421"},
      coordinator, argc, argv);
}
