#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>
#include <absl/time/time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <thread>

#include "libs/actor_kit/terminator.hpp"
#include "libs/base/status.hpp"
#include "libs/base/steady_time.hpp"
#include "libs/http/url.hpp"
#include "libs/service/service_main.hpp"
#include "libs/telemetry/log.hpp"
#include "libs/wire/addresses.hpp"
#include "services/remote-fetcher/actors/dispatcher.hpp"
#include "services/remote-fetcher/edge/fetcher_service.hpp"
#include "services/remote-fetcher/endpoints_file.hpp"

namespace towline::fetcher {
namespace {

constexpr absl::string_view kGroup = "group=";
/// How soon a new or missing replica is noticed.
constexpr absl::Duration kLookUp = absl::Seconds(2);

/// Logs what an operator should know about the votes: who is trusted, and what the loss of a group stops.
void say_trust(const Electorate& e, std::size_t endpoints) {
  const auto spare = [](std::size_t groups, std::size_t needed) { return groups - needed; };
  const auto fields = {log::kv("groups", e.finalized), log::kv("quorum_safe", e.safe_quorum),
                       log::kv("quorum_finalized", e.finalized_quorum)};
  if (e.finalized == 1) {
    if (endpoints > 1)
      log::warn(
          "all endpoints are of one trust group, which is believed in everything: it is one vote. Endpoints of "
          "three groups bear one that lies; name them by URL,group=NAME if these are",
          fields);
    else log::info("one source, which is believed in everything", fields);
  } else if (spare(e.safe, e.safe_quorum) == 0 || spare(e.finalized, e.finalized_quorum) == 0) {
    log::warn("the loss of one trust group stops safe or finalized: one or three groups, or a lower --quorum, go on",
              fields);
  } else {
    log::info("a label moves when a quorum of trust groups has its block", fields);
  }
}

class RemoteFetcher final : public service::Program {
 public:
  void add_flags(CLI::App& app) override {
    chain_.add(app);
    app.add_option("--endpoint", urls_,
                   "JSON-RPC URL (http, https, ws, wss) of a remote EL or CL, best first; repeat it, or separate by "
                   "commas. URL,group=NAME says who runs it: endpoints of one group have one vote together (else those "
                   "of one domain). For URLs with keys use --endpoints-file")
        ->delimiter(',');
    app.add_option("--endpoints-file", endpoints_file_,
                   "TOML file of [[endpoint]] tables: url, headers, ca_file, proxy, group, votes, "
                   "max_in_flight, max_rps, max_batch");
    app.add_option(
           "--check.block-times", check_times_,
           "on: heads count whose time is what their number says, and at most 60 s ahead; off: for a chain whose "
           "blocks do not keep its block time")
        ->capture_default_str()
        ->check(CLI::IsMember({"on", "off"}));
    app.add_option("--quorum.safe", quorum_.safe,
                   "trust groups that must have a block for it to become safe, 0: a majority of those configured")
        ->capture_default_str();
    app.add_option("--quorum.finalized", quorum_.finalized,
                   "trust groups that must have a block for it to become final, 0: a majority of those configured")
        ->capture_default_str();
    app.add_option_function<std::string>(
        "--proxy", [this](const std::string& p) { proxy_ = p; },
        "proxy URL for endpoints that name none of their own (http, https, socks4, socks5), \"\" for none; without it "
        "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY decide");
    app.add_option("--poll-interval", poll_interval_, "time between two looks at an endpoint's heads")
        ->capture_default_str();
    app.add_option("--request-timeout", request_timeout_, "time for one request")->capture_default_str();
    app.add_option("--max-in-flight", limits_.max_in_flight, "requests in flight to one endpoint")
        ->capture_default_str()
        ->check(CLI::Range(1, 256));
    app.add_option("--max-rps", limits_.max_requests_per_s, "requests a second to one endpoint, 0: no limit")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber);
    app.add_option("--replicas", replicas_,
                   "gRPC target of all remote-fetchers with these endpoints, this one included, such as "
                   "dns:///remote-fetcher:7410: each takes its part of --max-rps. Empty: this one has all of it");
    app.add_option("--max-batch", limits_.max_batch, "calls in one batch to one endpoint, 0: as many as it takes")
        ->capture_default_str()
        ->check(CLI::Range(0, 1000));
    app.add_option("--max-buffered-bytes", max_buffered_bytes_,
                   "bytes of payloads that wait for their readers, in this process; each reader has its part")
        ->capture_default_str();
    app.add_option("--evidence-file", evidence_file_,
                   "JSON lines: what endpoints were quarantined for; kept to 32 MiB");
  }

  absl::Status start(service::Context& ctx) override {
    TOWLINE_ASSIGN_OR_RETURN(config_, chain_.load());
    absl::Duration interval;
    absl::Duration timeout;
    if (!absl::ParseDuration(poll_interval_, &interval) || interval < absl::Milliseconds(50))
      return absl::InvalidArgumentError("--poll-interval: a duration such as 1s or 500ms, 50ms at least");
    if (!absl::ParseDuration(request_timeout_, &timeout) || timeout < absl::Milliseconds(100))
      return absl::InvalidArgumentError("--request-timeout: a duration such as 10s, 100ms at least");
    std::vector<EndpointConfig> endpoints;
    for (const auto& url : urls_) {
      if (const absl::string_view group = url; absl::StartsWith(group, kGroup)) {
        if (endpoints.empty() || group.size() == kGroup.size())
          return absl::InvalidArgumentError("--endpoint: group=NAME belongs behind a URL: URL,group=NAME");
        endpoints.back().voter.group = std::string{absl::StripPrefix(group, kGroup)};
        continue;
      }
      if (auto st = http::check_url(url); !st.ok())
        return absl::InvalidArgumentError(absl::StrCat("--endpoint ", endpoints.size() + 1, ": ", st.message()));
      endpoints.push_back({url, {}, {}, limits_});
    }
    if (!endpoints_file_.empty()) {
      TOWLINE_ASSIGN_OR_RETURN(auto more, read_endpoints_file(endpoints_file_, limits_));
      for (auto& e : more) endpoints.push_back(std::move(e));
    }
    if (proxy_) {
      if (auto st = http::check_proxy(*proxy_); !st.ok())
        return absl::InvalidArgumentError(absl::StrCat("--proxy: ", st.message()));
      for (auto& e : endpoints) {
        if (!e.proxy) e.proxy = proxy_;
      }
    }
    if (!evidence_file_.empty()) {
      if (const auto st = append_private(evidence_file_, ""); !st.ok())
        return absl::InvalidArgumentError(
            absl::StrCat("--evidence-file: ", st.message(), "; does its directory exist?"));
    }
    if (endpoints.empty())
      return absl::InvalidArgumentError("no endpoint: give --endpoint URL or --endpoints-file FILE");
    const std::size_t count = endpoints.size();
    // Before the first request, so that a new replica never uses the whole limit. The watch repeats it later.
    if (!replicas_.empty()) sharing_ = sharing_of(wire::resolve(replicas_));
    for (auto& e : endpoints) e.limits.processes = sharing_;
    view_ = std::make_shared<EndpointView>(endpoints);
    TOWLINE_RETURN_IF_ERROR(check(view_->voters(), quorum_));
    // Late: three looks were missed. Stale: the last look may also have waited for a whole request. Stalled: at least
    // three blocks of another source, and at least three looks.
    const Vote vote{
        view_->voters(), quorum_,
        Vote::Ages{std::max(interval * 3, absl::Seconds(3)), interval * 3 + timeout,
                   std::max(interval * 3, absl::Seconds(static_cast<std::int64_t>(config_.block_time)) * 3)}};
    heads_ = std::make_unique<Heads>(
        ctx.system, HeadHubConfig{vote, ChainClock{view_->voters()}, interval,
                                  [this](const HeadBoard& b, absl::Time now) { return troubles_of(*view_, b, now); }});
    forks_ = ctx.system.spawn(fork_watch, config_);
    DispatcherConfig dispatching;
    dispatching.endpoints = std::move(endpoints);
    dispatching.request_timeout = timeout;
    dispatching.evidence_file = evidence_file_;
    dispatching.rollup = config_;
    dispatching.poll_interval = interval;
    dispatching.check_times = check_times_ == "on";
    dispatching.max_in_flight = limits_.max_in_flight;
    dispatching.max_bytes = max_buffered_bytes_;
    dispatching.verifiers = std::max(1U, std::thread::hardware_concurrency());
    dispatcher_ =
        std::make_unique<Dispatcher>(ctx.system, std::move(dispatching), view_, *heads_, *forks_, ctx.metrics);
    ctx.watchdog.watch("http", [this](std::function<void()> turn) { dispatcher_->ask_http_turn(std::move(turn)); });
    ctx.watchdog.watch("dispatcher", [this](std::function<void()> turn) { dispatcher_->ask_turn(std::move(turn)); });
    heads_service_ = std::make_unique<FetcherService>(*dispatcher_, *heads_);
    payload_service_ =
        std::make_unique<PayloadService>(ctx.system, StreamConfig{0, {}, {}, limits_.max_in_flight, dispatcher_.get()});
    system_ = &ctx.system;
    if (!replicas_.empty())
      addresses_.emplace(replicas_, kLookUp, kLookUp, [this](const auto& found) { share(sharing_of(found)); });
    log::info("fetching", {log::kv("chain_id", config_.l2_chain_id), log::kv("endpoints", count)});
    say_trust(electorate(view_->voters(), quorum_), count);
    return absl::OkStatus();
  }

  std::vector<grpc::Service*> services() override { return {heads_service_.get(), payload_service_.get()}; }

  Readiness readiness() override {
    const auto board = heads_->now();
    const absl::Time now = steady_now();
    const auto s = board->choose(now);
    const std::size_t els = view_->ready_els();
    Readiness r{true, "ready", {}, {}};
    const auto not_ready = [&](const contract::SourceTrouble& t) {
      r.ready = false;
      r.code = t.code;
      r.reason = t.why;
    };
    if (!s) {
      not_ready(troubles_of(*view_, *board, now).heads);
    } else if (!s->unknown_rules.empty()) {
      not_ready({"unknown_rules", s->unknown_rules});
    } else if (els == 0) {
      not_ready(view_->trouble(contract::serves_blocks)
                    .value_or(contract::SourceTrouble{"no_blocks", "no execution endpoint is ready to serve blocks"}));
    } else if (const auto t = view_->blocks_trouble()) {
      not_ready(*t);
    }
    r.details["endpoints"] = absl::StrCat(view_->size());
    if (s && s->unsafe) r.details["unsafe"] = eth::to_string(*s->unsafe);
    return r;
  }

  void stop() override {
    addresses_.reset();
    if (dispatcher_) dispatcher_->stop();
    if (heads_) heads_->stop();
  }

  void release() override {
    if (system_ == nullptr) return;
    Terminator others;
    if (forks_) others.add(*forks_);
    if (heads_) others.add(heads_->actor());
    if (dispatcher_) dispatcher_->end(*system_);
    others.end(*system_);
  }

 private:
  /// The number of replicas behind these addresses; a replica may have one address of each family.
  static std::size_t sharing_of(const std::vector<std::string>& addresses) {
    const auto v6 = static_cast<std::size_t>(
        std::count_if(addresses.begin(), addresses.end(), [](const auto& a) { return absl::StartsWith(a, "["); }));
    return std::max({std::size_t{1}, v6, addresses.size() - v6});
  }
  void share(std::size_t replicas) {
    if (std::exchange(sharing_, replicas) == replicas) return;
    log::info("the limits of requests are shared", {log::kv("replicas", replicas)});
    for (std::size_t i = 0; i < view_->size(); ++i)
      dispatcher_->change(
          i, [replicas](Endpoint& e) { e.share_between(replicas); }, [] {});
  }

  service::ChainFlags chain_;
  std::vector<std::string> urls_;
  std::string endpoints_file_, evidence_file_;
  std::optional<std::string> proxy_;
  std::string poll_interval_ = "1s";
  std::string request_timeout_ = "10s";
  EndpointLimits limits_;
  Quorum quorum_;
  std::string check_times_ = "on";
  std::string replicas_;
  std::size_t max_buffered_bytes_ = 64U << 20U;

  rollup::Config config_;
  EndpointViewPtr view_;
  std::size_t sharing_ = 1;
  std::unique_ptr<Heads> heads_;
  std::optional<fork_watch_actor> forks_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::unique_ptr<FetcherService> heads_service_;
  std::unique_ptr<PayloadService> payload_service_;
  caf::actor_system* system_ = nullptr;
  /// Its callback uses the dispatcher.
  std::optional<wire::AddressWatch> addresses_;
};

}  // namespace
}  // namespace towline::fetcher

int main(int argc, char** argv) {
  towline::fetcher::RemoteFetcher fetcher;
  return towline::service::service_main(
      {"remote-fetcher", "Heads, headers and payloads from remote RPCs, verified.", "127.0.0.1:7410", "127.0.0.1:7411"},
      fetcher, argc, argv);
}
