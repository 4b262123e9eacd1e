#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <CLI/CLI.hpp>
#include <caf/actor_system.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/terminator.hpp"
#include "libs/base/status.hpp"
#include "libs/service/service_main.hpp"
#include "libs/telemetry/log.hpp"
#include "libs/wire/channel.hpp"
#include "services/sync-coordinator/actors/links.hpp"
#include "services/sync-coordinator/edge/clients.hpp"
#include "services/sync-coordinator/edge/coordinator_service.hpp"

namespace towline::coordinator {
namespace {

constexpr std::chrono::seconds kCallsEnd{1};

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
    app.add_option("--sync-start", sync_start_,
                   "how an EL that is far below the source's head gets there; auto: blocks are imported, but the EL "
                   "syncs by itself where it is more than 500,000 blocks below, or more than 10,000 and has peers, or "
                   "executes no payload; snapshot: as auto, and nothing is imported into an empty EL; elsync: the EL "
                   "syncs by itself from 64 blocks on, and blocks are imported where it does not move; import: blocks "
                   "are imported, however many")
        ->capture_default_str()
        ->check(CLI::IsMember({"auto", "snapshot", "elsync", "import"}));
    app.add_option("--sync-start.patience", patience_s_,
                   "seconds that an EL which syncs by itself may stand still before that is given up")
        ->capture_default_str()
        ->check(CLI::Range(1, 86'400));
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
    options.start = {*start_mode_of(sync_start_), absl::Seconds(patience_s_)};
    options.seed = static_cast<std::uint64_t>(absl::ToUnixNanos(absl::Now()));
    limits_.head_age =
        head_age_s_ > 0 ? absl::Seconds(head_age_s_)
                        : std::max(absl::Seconds(5 * static_cast<std::int64_t>(config.block_time)), absl::Seconds(30));
    limits_.safe_age = absl::Seconds(safe_age_s_);
    system_ = &ctx.system;
    const auto channel = [&](const std::string& target) {
      return channels_.emplace_back(wire::make_channel(target, ctx.token));
    };
    fetcher_ = make_fetcher_client(channel(fetcher_target_), calls_);
    hub_ = actors_.add(system_->spawn(status_hub, &latest_));
    const file_store_actor files = actors_.add(system_->spawn<caf::detached>(file_store));
    std::vector<Metrics::Gauge> gossip_connected;
    for (std::size_t i = 0; i < driver_targets_.size(); ++i) {
      const std::string& target = driver_targets_[i];
      drivers_.push_back(make_driver_client(channel(target), calls_));
      tows_.push_back(actors_.add(system_->spawn(
          tow,
          TowConfig{i, target, options, limits_, options.unsafe_from_gossip, drivers_.back().get(), fetcher_.get(),
                    *hub_, &ctx.metrics,
                    data_dir_.empty() ? nullptr
                                      : std::make_shared<KeptFile>(absl::StrCat(data_dir_, "/decisions-", i, ".json"),
                                                                   "decisions", files)})));
      const head_link_actor heads =
          actors_.add(system_->spawn(head_link, fetcher_.get(), tows_.back(), limits_.head_age));
      links_.push_back(heads);
      links_.push_back(actors_.add(system_->spawn(driver_link, target, drivers_.back().get(), tows_.back(), heads)));
      gossip_connected.push_back(ctx.metrics.gauge("towline_coordinator_gossip_connected",
                                                   "1: p2p-gossip streams its blocks.", {{"driver", target}}));
    }
    if (options.unsafe_from_gossip) {
      gossip_ = make_gossip_client(channel(gossip_target_), calls_);
      links_.push_back(actors_.add(system_->spawn(gossip_link, gossip_.get(), tows_, gossip_connected)));
    }
    service_ = std::make_unique<CoordinatorService>(
        latest_, *hub_, tows_, CoordinatorService::Targets{fetcher_target_, gossip_target_, driver_targets_});
    log::info("coordinating", {log::kv("chain_id", config.l2_chain_id), log::kv("drivers", driver_targets_.size()),
                               log::kv("unsafe_source", unsafe_source_), log::kv("sync_start", sync_start_)});
    return absl::OkStatus();
  }

  std::vector<grpc::Service*> services() override { return {service_.get()}; }

  Readiness readiness() override {
    Readiness r{true, {}, {}, {}};
    const auto latest = latest_.get();
    for (const auto& [index, view] : latest->views) {
      const TowView& v = *view;
      // A tow that is not ready determines the result; otherwise the first tow does.
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
    if (!hub_) return;
    for (const auto& l : links_) caf::anon_send(l, stop_atom{});
    for (const auto& t : tows_) caf::anon_send(t, stop_atom{});
    caf::anon_send(*hub_, stop_atom{});
    calls_->cancel();
  }

  void release() override {
    if (!hub_) return;
    if (!calls_->wait_until_none(kCallsEnd)) log::error("a call to another service does not end");
    links_.clear();
    tows_.clear();
    hub_.reset();
    service_.reset();
    actors_.end(*system_);
    drivers_.clear();
    fetcher_.reset();
    gossip_.reset();
    channels_.clear();
  }

 private:
  service::ChainFlags chain_;
  std::string fetcher_target_ = "dns:///127.0.0.1:7410";
  std::vector<std::string> driver_targets_;
  std::string gossip_target_ = "dns:///127.0.0.1:7440";
  std::string unsafe_source_ = "both";
  std::string sync_start_ = "auto";
  std::int64_t patience_s_ = absl::ToInt64Seconds(SyncStart::Options{}.patience);
  std::size_t header_batch_ = 100;
  std::string data_dir_;
  Limits limits_;
  std::int64_t head_age_s_ = 0;
  std::int64_t safe_age_s_ = absl::ToInt64Seconds(Limits{}.safe_age);

  caf::actor_system* system_ = nullptr;
  Published<SyncStatus> latest_{SyncStatus{}};
  std::shared_ptr<grpc_kit::OpenCalls> calls_ = std::make_shared<grpc_kit::OpenCalls>();
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  std::vector<std::unique_ptr<DriverClient>> drivers_;
  std::unique_ptr<FetcherClient> fetcher_;
  std::unique_ptr<GossipClient> gossip_;
  Terminator actors_;
  std::optional<status_hub_actor> hub_;
  std::vector<tow_actor> tows_;
  std::vector<link_actor> links_;
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
