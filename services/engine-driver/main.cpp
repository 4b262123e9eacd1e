#include <absl/strings/str_cat.h>

#include <CLI/CLI.hpp>
#include <caf/actor_system.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <fstream>

#include "libs/actor_kit/terminator.hpp"
#include "libs/base/status.hpp"
#include "libs/base/steady_time.hpp"
#include "libs/service/service_main.hpp"
#include "libs/telemetry/log.hpp"
#include "libs/wire/addresses.hpp"
#include "libs/wire/channel.hpp"
#include "services/engine-driver/actors/engine_poller.hpp"
#include "services/engine-driver/actors/gossip_payloads.hpp"
#include "services/engine-driver/actors/payload_calls.hpp"
#include "services/engine-driver/edge/driver_service.hpp"
#include "services/engine-driver/edge/payload_client.hpp"

namespace towline::driver {
namespace {

/// Shorter than the time that service_main allows.
constexpr absl::Duration kStopWithin = absl::Seconds(3);
constexpr std::chrono::seconds kCallsEnd{1};
/// How soon a new or missing remote-fetcher is noticed.
constexpr absl::Duration kLookUp = absl::Seconds(2);

absl::StatusOr<JwtSecret> read_secret(const std::string& path) {
  std::ifstream in{path};
  if (!in) return absl::NotFoundError(absl::StrCat("--jwt-secret: cannot read ", path, ": ", std::strerror(errno)));
  auto secret = parse_jwt_secret({std::istreambuf_iterator<char>{in}, {}});
  if (!secret.ok())
    return absl::InvalidArgumentError(absl::StrCat("--jwt-secret: ", path, ": ", secret.status().message()));
  return secret;
}

class Driver final : public service::Program {
 public:
  void add_flags(CLI::App& app) override {
    chain_.add(app);
    app.add_option("--engine", engine_url_, "Engine API of the local EL, for example http://127.0.0.1:8551 (required)");
    app.add_option("--jwt-secret", jwt_file_,
                   "file with the EL's JWT secret (64 hex digits); leave out for an EL that asks for none");
    app.add_option("--engine.admin-rpc", admin_url_,
                   "the EL's ordinary RPC with debug_setHead, to rewind it when a branch forks too deep");
    app.add_option("--engine.admin-rpc-trust", admin_rpc_trust_,
                   "on whose word the EL is rewound; majority: of most of several trust groups; single-source: also "
                   "where there is one group only")
        ->capture_default_str()
        ->check(CLI::IsMember({"majority", "single-source"}));
    app.add_option("--engine.timeout", timeout_s_, "seconds to wait for one answer of the EL")
        ->capture_default_str()
        ->check(CLI::Range(1, 600));
    app.add_option("--engine.twins", twins_,
                   "auto: an op-geth that does not move onto blocks that it kept when it was killed is led there by "
                   "blocks that it builds beside them; off: never")
        ->capture_default_str()
        ->check(CLI::IsMember({"auto", "off"}));
    app.add_option("--remote-fetcher", remote_fetcher_,
                   "gRPC target of remote-fetcher: one name that leads to several, or a list such as "
                   "ipv4:10.0.0.1:7410,10.0.0.2:7410; all of them share the work")
        ->capture_default_str();
    app.add_option("--p2p-gossip", p2p_gossip_, "gRPC target of p2p-gossip, for the payloads that it brought")
        ->capture_default_str();
    app.add_option("--data-dir", data_dir_, "keeps the confirmed finalized block and the term")->capture_default_str();
    app.add_option("--finality.min-age", finalized_min_age_,
                   "no block becomes final that is younger; 10m where L1 is Ethereum, Sepolia or Hoodi, else 0s");
    app.add_option("--safe.min-age", safe_min_age_, "no block becomes safe that is younger; 12s and 0s likewise");
    app.add_option("--forkchoice-every", every_, "blocks between two forkchoice updates while importing")
        ->capture_default_str()
        ->check(CLI::Range(1, 64));
  }

  absl::Status start(service::Context& ctx) override {
    TOWLINE_ASSIGN_OR_RETURN(config_, chain_.load());
    contract::EngineState initial;
    EngineClient::Options o{engine_url_, {}, admin_url_, absl::Seconds(timeout_s_)};
    if (engine_url_.empty()) {
      return absl::InvalidArgumentError(
          "--engine is required: the Engine API of the local EL, for example http://127.0.0.1:8551");
    }
    if (auto st = http::check_http_url(engine_url_); !st.ok())
      return absl::InvalidArgumentError(absl::StrCat("--engine: ", st.message()));
    if (!admin_url_.empty()) {
      if (auto st = http::check_http_url(admin_url_); !st.ok())
        return absl::InvalidArgumentError(absl::StrCat("--engine.admin-rpc: ", st.message()));
    }
    initial.rewind_for_single_source = admin_rpc_trust_ == "single-source";
    if (initial.rewind_for_single_source && admin_url_.empty())
      return absl::InvalidArgumentError("--engine.admin-rpc-trust: rewinds need --engine.admin-rpc");
    if (!jwt_file_.empty()) {
      TOWLINE_ASSIGN_OR_RETURN(o.jwt, read_secret(jwt_file_));
    }
    TOWLINE_ASSIGN_OR_RETURN(file_, StateFile::open(data_dir_));
    TOWLINE_ASSIGN_OR_RETURN(Persistent persistent, file_->load({config_.l2_chain_id, config_.l2_genesis.hash}));
    TOWLINE_RETURN_IF_ERROR(file_->save(persistent));
    engine_ = std::make_unique<EngineClient>(std::move(o), ctx.metrics);
    show(persistent, initial);
    initial.can_rewind = engine_->can_rewind();
    initial.genesis = config_.l2_genesis;
    ctx.watchdog.watch("http", [this](std::function<void()> turn) { engine_->ask_turn(std::move(turn)); });
    SessionOptions options;
    options.forkchoice_every = every_;
    options.twins = twins_ == "auto";
    options.can_rewind = initial.can_rewind;
    MinAge::Ages ages = MinAge::of_l1(config_.l1_chain_id);
    for (const auto& [flag, text, age] : {std::tuple{"--finality.min-age", &finalized_min_age_, &ages.finalized},
                                          std::tuple{"--safe.min-age", &safe_min_age_, &ages.safe}}) {
      if (!text->empty() && (!absl::ParseDuration(*text, age) || *age < absl::ZeroDuration()))
        return absl::InvalidArgumentError(absl::StrCat(flag, ": a duration such as 10m or 0s"));
    }
    if (ages.safe > ages.finalized)
      return absl::InvalidArgumentError(
          absl::StrCat("--safe.min-age (", absl::FormatDuration(ages.safe), ") is longer than --finality.min-age (",
                       absl::FormatDuration(ages.finalized), "), and a final block is safe: give both"));
    latest_ = std::make_unique<Published<Shown>>(Shown{initial, steady_now()});
    system_ = &ctx.system;
    gossip_ = wire::make_channel(p2p_gossip_, ctx.token);
    fetchers_ = make_fetcher_calls(ctx.token, calls_);
    const auto calls = actors_.add(system_->spawn<caf::detached>(engine, engine_.get()));
    const auto writes = actors_.add(system_->spawn(payload_calls, engine_.get(), calls));
    const auto reads = actors_.add(system_->spawn<caf::detached>(engine, engine_.get()));
    const auto store = actors_.add(system_->spawn<caf::detached>(state_store, file_.get()));
    hub_ = actors_.add(system_->spawn(state_hub, latest_.get()));
    const auto payloads = actors_.add(system_->spawn(
        shared_payloads,
        SharedPayloadsConfig{remote_fetcher_, fetchers_.get(), &ctx.metrics, [this](const auto& shown) {
                               caf::anon_send(
                                   *writer_, replicas_atom{},
                                   ReplicasPtr{std::make_shared<const std::vector<contract::Replica>>(shown)});
                             }}));
    const auto gossip_payloads = actors_.add(system_->spawn(
        driver::gossip_payloads,
        GossipPayloadsConfig{[this] { return watch_payloads(gossip_, calls_); }, open_over(gossip_, calls_)}));
    writer_ = actors_.add(
        system_->spawn(writer, WriterConfig{options, Gate{persistent}, MinAge{config_, ages}, initial, writes, store,
                                            *hub_, open_at(payloads, gossip_payloads), &ctx.metrics}));
    // Created last: the `show` callback above uses writer_, and runs only after an address or a range has arrived.
    addresses_.emplace(remote_fetcher_, absl::ZeroDuration(), kLookUp,
                       [payloads](const std::vector<std::string>& found) {
                         caf::anon_send(payloads, listed_atom{},
                                        AddressesPtr{std::make_shared<const std::vector<std::string>>(found)});
                       });
    actors_.add(system_->spawn<caf::detached>(
        engine_poller, EnginePollerConfig{&config_, engine_.get(), file_.get(), *writer_, &ctx.metrics}));
    service_ = std::make_unique<DriverService>(DriverService::Actors{system_, *writer_, *hub_, reads}, *latest_);
    log::info("labels wait for their blocks' age", {log::kv("safe_min_age", absl::FormatDuration(ages.safe)),
                                                    log::kv("finality_min_age", absl::FormatDuration(ages.finalized))});
    log::info("driving",
              {log::kv("engine", http::redact_url(engine_url_)), log::kv("chain_id", config_.l2_chain_id),
               log::kv("term", persistent.term),
               log::kv("confirmed_finalized",
                       persistent.confirmed_finalized ? eth::to_string(*persistent.confirmed_finalized) : "none")});
    return absl::OkStatus();
  }

  std::vector<grpc::Service*> services() override { return {service_.get()}; }

  Readiness readiness() override {
    static constexpr const char* kCodes[] = {"starting",
                                             "ready",
                                             "engine_unreachable",
                                             "engine_auth_failed",
                                             "engine_wrong_chain",
                                             "engine_syncing",
                                             "engine_invalid",
                                             "engine_is_ordinary_rpc",
                                             "engine_driven_elsewhere",
                                             "engine_contradicts_finalized",
                                             "state_not_saved"};
    const auto latest = latest_->get();
    const contract::EngineState& s = latest->state;
    Readiness r{s.status == contract::EngineStatus::ready, kCodes[static_cast<int>(s.status)], s.reason, {}};
    if (s.labels.unsafe) r.details["head"] = eth::to_string(*s.labels.unsafe);
    return r;
  }

  void stop() override {
    if (system_ == nullptr) return;
    // The current import still makes its imported blocks the head: the pending call, and a few more.
    engine_->stop(kStopWithin);
    caf::anon_send(*writer_, stop_atom{});
    caf::anon_send(*hub_, stop_atom{});
  }

  void release() override {
    if (system_ == nullptr) return;
    engine_->stop(absl::ZeroDuration());
    addresses_.reset();
    actors_.end(*system_);
    if (!calls_->wait_until_none(kCallsEnd)) log::error("a call to a payload source does not end");
    service_.reset();
    writer_.reset();
    hub_.reset();
    fetchers_.reset();
    gossip_.reset();
  }

 private:
  service::ChainFlags chain_;
  std::string engine_url_, jwt_file_, admin_url_, admin_rpc_trust_ = "majority";
  std::string remote_fetcher_ = "dns:///127.0.0.1:7410";
  std::string p2p_gossip_ = "dns:///127.0.0.1:7440";
  std::string data_dir_ = "towline-data";
  std::string twins_ = "auto";
  std::string finalized_min_age_, safe_min_age_;
  int timeout_s_ = 20;
  std::uint64_t every_ = 32;

  rollup::Config config_;
  std::unique_ptr<StateFile> file_;
  std::unique_ptr<EngineClient> engine_;
  std::unique_ptr<Published<Shown>> latest_;
  std::shared_ptr<grpc::Channel> gossip_;
  std::unique_ptr<FetcherCalls> fetchers_;
  std::optional<wire::AddressWatch> addresses_;
  std::shared_ptr<grpc_kit::OpenCalls> calls_ = std::make_shared<grpc_kit::OpenCalls>();
  std::unique_ptr<DriverService> service_;
  caf::actor_system* system_ = nullptr;
  Terminator actors_;
  std::optional<writer_actor> writer_;
  std::optional<state_hub_actor> hub_;
};

}  // namespace
}  // namespace towline::driver

int main(int argc, char** argv) {
  towline::driver::Driver driver;
  return towline::service::service_main(
      {"engine-driver", "The only writer to one execution client: imports verified payloads and moves its labels.",
       "127.0.0.1:7430", "127.0.0.1:7431"},
      driver, argc, argv);
}
