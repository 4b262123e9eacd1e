#include "libs/service/service_main.hpp"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/clock.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/support/server_interceptor.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <fstream>
#include <iostream>
#include <iterator>
#include <thread>

#include "libs/base/exit_code.hpp"
#include "libs/base/status.hpp"
#include "libs/service/auth.hpp"
#include "libs/service/flags.hpp"
#include "libs/service/health.hpp"
#include "libs/service/self_check.hpp"
#include "libs/telemetry/log.hpp"
#include "libs/wire/watchers.hpp"

namespace towline::service {
namespace {

/// Raises the soft limit of descriptors, so that many idle connections do not stop a service.
void use_all_descriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

/// The cores that this process may use. No actor of the scheduler blocks, so more threads would only add switches.
std::size_t usable_cores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  return sched_getaffinity(0, sizeof cores, &cores) == 0 ? static_cast<std::size_t>(CPU_COUNT(&cores)) : 1;
}

/// gRPC 1.51 has no limit of connections, so idle connections end soon.
void bound_connections(grpc::ServerBuilder& b) {
  // With SO_REUSEPORT two processes on one port would share its calls.
  b.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Clients resolve their target again when a connection ends: so they find new replicas. Open streams go on to their
  // end.
  b.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, 30'000);
  b.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 5'000);
  b.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, 20'000);
  b.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 100);
  // Streams of a dead peer end.
  b.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  b.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  // As in wire::make_channel(); requests are small.
  b.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  // Must be below the 20 s between the pings of wire::make_channel().
  b.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
}

/// Bounds the reflection streams, which gRPC's library answers, as wire::Watchers bounds other streams. A call above
/// the bound is cancelled, since an interceptor of gRPC cannot answer.
class ReflectionPlaces final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* info) override {
    if (!absl::StartsWith(info->method(), "/grpc.reflection.")) return nullptr;
    return new Visitor{*info, places_.take()};
  }

 private:
  class Visitor final : public grpc::experimental::Interceptor {
   public:
    Visitor(grpc::experimental::ServerRpcInfo& info, wire::Watchers::Place place)
        : info_{info}, place_{std::move(place)} {}
    void Intercept(grpc::experimental::InterceptorBatchMethods* m) override {
      using grpc::experimental::InterceptionHookPoints;
      if (!place_ && m->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_INITIAL_METADATA))
        info_.server_context()->TryCancel();
      m->Proceed();
    }

   private:
    grpc::experimental::ServerRpcInfo& info_;
    const wire::Watchers::Place place_;
  };
  wire::Watchers places_{16};
};

/// The address at which this process reaches its own server that listens on `address`.
std::string own_address(const std::string& address, int port) {
  if (absl::StartsWith(address, "unix:")) return address;
  const std::string host = address.substr(0, address.rfind(':'));
  if (host == "0.0.0.0") return absl::StrCat("127.0.0.1:", port);
  if (host == "[::]") return absl::StrCat("[::1]:", port);
  return absl::StrCat(host, ":", port);
}

constexpr auto kStopWithin = std::chrono::milliseconds{4500};

}  // namespace

void ChainFlags::add(CLI::App& app) {
  app.add_option("--network", network, "a known chain by name, for example op-mainnet (see `towline networks`)");
  app.add_option("--rollup-config", rollup_config, "rollup.json of the chain, as op-node takes it");
  for (auto f = static_cast<std::size_t>(rollup::Fork::canyon); f < rollup::kForkCount; ++f) {
    const std::string fork = rollup::name(static_cast<rollup::Fork>(f));
    app.add_option("--override." + fork, overrides[f],
                   "Unix time of " + fork + ", whatever the network or the rollup config says");
  }
}

absl::StatusOr<rollup::Config> ChainFlags::load() const {
  if (network.empty() == rollup_config.empty())
    return absl::InvalidArgumentError("give one of --network and --rollup-config");
  absl::StatusOr<rollup::Config> config;
  if (network.empty()) {
    std::ifstream in{rollup_config, std::ios::binary};
    if (!in) return absl::NotFoundError(absl::StrCat("--rollup-config: cannot read ", rollup_config));
    config = rollup::parse_config(std::string{std::istreambuf_iterator<char>{in}, {}});
    if (!config.ok())
      return absl::InvalidArgumentError(
          absl::StrCat("--rollup-config: ", rollup_config, ": ", config.status().message()));
  } else {
    config = rollup::network(network);
    if (!config.ok()) return absl::InvalidArgumentError(absl::StrCat("--network: ", config.status().message()));
  }
  TOWLINE_RETURN_IF_ERROR(rollup::override_forks(overrides, "--override.", *config));
  for (std::size_t f = 0; f < rollup::kForkCount; ++f) {
    if (overrides[f])
      log::info("a fork comes when the operator says",
                {log::kv("fork", rollup::name(static_cast<rollup::Fork>(f))), log::kv("time", *overrides[f])});
  }
  const auto now = static_cast<std::uint64_t>(absl::ToUnixSeconds(absl::Now()));
  for (const auto& [key, time] : config->unknown_forks)
    log::warn(rollup::describe_unknown(time, now), {log::kv("fork", key), log::kv("time", time)});
  return config;
}

int service_main(const Info& info, Program& program, int argc, char** argv) {
  // Blocked before any thread exists: main alone waits for them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  // Debian builds Abseil with its deadlock detector, which puts each lock of gRPC into one graph behind one spin lock.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  // gRPC's own log repeats our log in another format; GRPC_VERBOSITY=DEBUG brings it back.
  setenv("GRPC_VERBOSITY", "NONE", 0);
  // A catch-up allocates and frees much on many threads. Few arenas that return free memory keep the process small
  // afterwards.
  mallopt(M_ARENA_MAX, 2);
  // The trim threshold stops glibc from raising this one by itself, and fresh pages for each answer to a batch cost
  // time.
  mallopt(M_MMAP_THRESHOLD, 512 << 10);
  mallopt(M_TRIM_THRESHOLD, 4 << 20);

  CLI::App app{info.summary, info.name};
  app.set_version_flag("--version", info.name + " " TOWLINE_VERSION);
  app.set_config("--config", "", "TOML file; a flag --a.b is the key \"a.b\", environment variables are TOWLINE_A_B")
      ->envname("TOWLINE_CONFIG");
  app.allow_config_extras(CLI::config_extras_mode::error);
  // Keys contain dots, which CLI11 would take for subcommands.
  app.get_config_formatter_base()->parentSeparator('/');
  std::string grpc_addr = info.grpc_addr;
  std::string http_addr = info.http_addr;
  std::string level_text = "info";
  std::string format_text = "text";
  app.add_option("--grpc.addr", grpc_addr, "listen here for gRPC")->capture_default_str();
  app.add_option("--http.addr", http_addr, "listen here for /metrics, /livez and /readyz")->capture_default_str();
  AuthFlags auth;
  app.add_option("--auth.token-file", auth.token_file,
                 "file with the services' shared token, which whoever commands them must have");
  app.add_flag("--insecure", auth.insecure, "listen beyond loopback without a token");
  app.add_option("--log.level", level_text, "trace, debug, info, warn or error")->capture_default_str();
  app.add_option("--log.format", format_text, "text, logfmt or json")->capture_default_str();
  program.add_flags(app);
  name_environment(app);
  if (argc == 2 && argv[1] == absl::string_view{"--print-flags"}) {
    std::cout << flags_json(app) << std::endl;
    return 0;
  }
  if (const std::string wrong = secret_on_command_line(app, argc, argv); !wrong.empty()) {
    std::cerr << absl::StrCat(info.name, ": ", wrong, "\n");
    return 2;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    std::cerr << info.name << ": "
              << absl::StrReplaceAll(e.what(), {{"INI was not able to parse ", "--config: no such key, or no TOML: "}})
              << " (--help shows the flags)\n";
    return 2;
  }
  const auto refuse = [&](absl::string_view why, int code = 1) {
    // One write, because a thread may log at this moment.
    std::cerr << absl::StrCat(info.name, ": ", why, "\n");
    return code;
  };
  log::Level level{};
  log::Format format{};
  if (!log::parse(level_text, level)) return refuse("--log.level must be trace, debug, info, warn or error", 2);
  if (!log::parse(format_text, format)) return refuse("--log.format must be text, logfmt or json", 2);
  log::init(level, format);
  if (const std::string unknown = unknown_variables({&app}); !unknown.empty())
    log::warn("variables that no flag of this service reads (--help shows them)", {log::kv("names", unknown)});

  const absl::StatusOr<std::string> token = auth.token_for(grpc_addr);
  if (!token.ok()) return refuse(token.status().message());
  use_all_descriptors();

  caf::actor_system_config cfg;
  cfg.set("scheduler.policy", caf::atom("sharing"));
  cfg.set("scheduler.max-threads", std::clamp<std::size_t>(usable_cores(), 1, 2));
  caf::actor_system system{cfg};
  Metrics metrics;
  metrics.gauge("towline_info", "Version of this process.", {{"service", info.name}, {"version", TOWLINE_VERSION}})
      .set(1);
  Watchdog watchdog{info.watchdog_turn};
  Context context{system, metrics, watchdog, *token};
  if (auto st = program.start(context); !st.ok()) {
    program.stop();
    program.release();
    // INVALID_ARGUMENT: a flag is wrong, and a restart does not help; after other errors it may.
    return refuse(st.message(), absl::IsInvalidArgument(st) ? 2 : 1);
  }

  Health health{[&program] { return program.readiness().ready; }};
  health.add_service("");
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(grpc_addr,
                           guarded_credentials({*token, is_loopback(grpc_addr)},
                                               metrics.counter("towline_unauthenticated_calls_total",
                                                               "gRPC calls that were refused for want of the token.")),
                           &port);
  bound_connections(builder);
  builder.SetMaxReceiveMessageSize(info.max_request_bytes);
  builder.SetMaxSendMessageSize(64 << 20);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(std::make_unique<ReflectionPlaces>());
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  grpc::ResourceQuota quota{info.name};
  quota.SetMaxThreads(256);
  // gRPC 1.51 reads a message to its end before it refuses its size: the quota bounds many of them at once.
  quota.Resize(64U << 20U);
  builder.SetResourceQuota(quota);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 4);
  builder.RegisterService(&health);
  for (grpc::Service* s : program.services()) builder.RegisterService(s);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  auto status_server = StatusServer::start(
      http_addr, metrics, [&program] { return program.readiness(); },
      [&watchdog] { return watchdog.hung().empty() ? "" : absl::StrCat("the loop ", watchdog.hung(), " hangs"); }, {});
  std::unique_ptr<SelfCheck> self_check;
  int exit_code = 0;
  if (!server || port == 0) {
    exit_code = refuse(absl::StrCat("--grpc.addr: cannot listen on ", grpc_addr, "; is another process using it?"));
  } else if (!status_server.ok()) {
    exit_code = refuse(absl::StrCat("--http.addr: ", status_server.status().message()));
  } else {
    log::info("started", {log::kv("service", info.name), log::kv("version", TOWLINE_VERSION),
                          log::kv("grpc_port", port), log::kv("http_port", (*status_server)->port())});
    watchdog.watch("actors", [&system](std::function<void()> turn) {
      system.spawn([turn = std::move(turn)](caf::event_based_actor*) { turn(); });
    });
    watchdog.watch("status", [&](std::function<void()> turn) { (*status_server)->ask_turn(std::move(turn)); });
    self_check = std::make_unique<SelfCheck>(own_address(grpc_addr, port), grpc::InsecureChannelCredentials());
    watchdog.watch("grpc", [&](std::function<void()> turn) { self_check->ask(std::move(turn)); });
    watchdog.start([](const std::string& loop) {
      log::error("a loop hangs, ending now", {log::kv("loop", loop)});
      _exit(kExitBroken);
    });
    int sig = 0;
    sigwait(&signals, &sig);
    log::info("stopping", {log::kv("signal", sig)});
  }
  // Whatever hangs, the process ends. No state is lost: files are written whole or not at all.
  std::thread{[] {
    std::this_thread::sleep_for(kStopWithin);
    log::error("did not stop in time, ending now");
    _exit(1);
  }}.detach();
  watchdog.stop();
  self_check.reset();
  health.stop();
  program.stop();
  if (server) {
    server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds{2});
    server->Wait();
  }
  if (status_server.ok()) status_server->reset();
  program.release();
  server.reset();
  return exit_code;
}

}  // namespace towline::service
