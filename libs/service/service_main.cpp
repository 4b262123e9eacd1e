#include "libs/service/service_main.hpp"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <absl/time/clock.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>
#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <fstream>
#include <iostream>
#include <iterator>
#include <thread>

#include "libs/base/status.hpp"
#include "libs/service/health.hpp"
#include "libs/telemetry/log.hpp"

namespace towline::service {
namespace {

/// --a.b-c is TOWLINE_A_B_C.
void name_environment(CLI::App& app) {
  for (CLI::Option* o : app.get_options()) {
    if (o->get_lnames().empty() || o->get_lnames()[0] == "help" || o->get_lnames()[0] == "version") continue;
    o->envname("TOWLINE_" + absl::AsciiStrToUpper(absl::StrReplaceAll(o->get_lnames()[0], {{".", "_"}, {"-", "_"}})));
  }
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
  // gRPC's own log says in another format what is said anyway; GRPC_VERBOSITY=DEBUG brings it back.
  setenv("GRPC_VERBOSITY", "NONE", 0);
  // A catch-up allocates and frees much on many threads. Few arenas that give back what is free keep what it leaves
  // behind small.
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_TRIM_THRESHOLD, 4 << 20);

  CLI::App app{info.summary, info.name};
  app.set_version_flag("--version", info.name + " " TOWLINE_VERSION);
  app.set_config("--config", "", "TOML file; a flag --a.b is the key \"a.b\", environment variables are TOWLINE_A_B")
      ->envname("TOWLINE_CONFIG");
  app.allow_config_extras(CLI::config_extras_mode::error);
  // Keys hold dots, and there are no subcommands for them to mean.
  app.get_config_formatter_base()->parentSeparator('/');
  std::string grpc_addr = info.grpc_addr;
  std::string http_addr = info.http_addr;
  std::string level_text = "info";
  std::string format_text = "text";
  app.add_option("--grpc.addr", grpc_addr, "listen here for gRPC")->capture_default_str();
  app.add_option("--http.addr", http_addr, "listen here for /metrics, /livez and /readyz")->capture_default_str();
  app.add_option("--log.level", level_text, "trace, debug, info, warn or error")->capture_default_str();
  app.add_option("--log.format", format_text, "text, logfmt or json")->capture_default_str();
  program.add_flags(app);
  name_environment(app);
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
  const auto refuse = [&](absl::string_view why) {
    // In one piece: a thread may log at this moment.
    std::cerr << absl::StrCat(info.name, ": ", why, "\n");
    return 1;
  };
  log::Level level{};
  log::Format format{};
  if (!log::parse(level_text, level)) return refuse("--log.level must be trace, debug, info, warn or error");
  if (!log::parse(format_text, format)) return refuse("--log.format must be text, logfmt or json");
  log::init(level, format);

  caf::actor_system_config cfg;
  cfg.set("scheduler.policy", caf::atom("sharing"));
  cfg.set("scheduler.max-threads", 2);
  caf::actor_system system{cfg};
  Metrics metrics;
  metrics.gauge("towline_info", "Version of this process.", {{"service", info.name}, {"version", TOWLINE_VERSION}})
      .set(1);
  Context context{system, metrics};
  if (auto st = program.start(context); !st.ok()) {
    program.stop();
    program.release();
    return refuse(st.message());
  }

  Health health{[&program] { return program.readiness().ready; }};
  health.add_service("");
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(grpc_addr, grpc::InsecureServerCredentials(), &port);
  // Two processes on one port would share its calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Clients look their target up again when a connection ends: that is how they find replicas that were added. Streams
  // go on to their end.
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, 30'000);
  builder.SetMaxReceiveMessageSize(64 << 20);
  builder.SetMaxSendMessageSize(64 << 20);
  grpc::ResourceQuota quota{info.name};
  quota.SetMaxThreads(256);
  builder.SetResourceQuota(quota);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 4);
  builder.RegisterService(&health);
  for (grpc::Service* s : program.services()) builder.RegisterService(s);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  auto status_server = StatusServer::start(http_addr, metrics, [&program] { return program.readiness(); });
  int exit_code = 0;
  if (!server || port == 0) {
    exit_code = refuse(absl::StrCat("--grpc.addr: cannot listen on ", grpc_addr, "; is another process using it?"));
  } else if (!status_server.ok()) {
    exit_code = refuse(absl::StrCat("--http.addr: ", status_server.status().message()));
  } else {
    log::info("started", {log::kv("service", info.name), log::kv("version", TOWLINE_VERSION),
                          log::kv("grpc_port", port), log::kv("http_port", (*status_server)->port())});
    int sig = 0;
    sigwait(&signals, &sig);
    log::info("stopping", {log::kv("signal", sig)});
  }
  // Whatever hangs, the process ends: nothing it holds needs more than the file system's own guarantees.
  std::thread{[] {
    std::this_thread::sleep_for(kStopWithin);
    log::error("did not stop in time, ending now");
    _exit(1);
  }}.detach();
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
