// The main() of all services: flags (also from environment and config file), log, metrics, signals, the gRPC server
// with reflection and health, and the order of start and stop.
#pragma once
#include <absl/status/statusor.h>

#include <functional>
#include <string>
#include <vector>

#include "libs/rollup/config.hpp"
#include "libs/service/watchdog.hpp"
#include "libs/telemetry/metrics.hpp"
#include "libs/telemetry/status_server.hpp"

namespace CLI {
class App;
}
namespace caf {
class actor_system;
}
namespace grpc {
class Service;
}

namespace towline::service {

struct Info {
  std::string name;
  std::string summary;    // for --help
  std::string grpc_addr;  // default of --grpc.addr
  std::string http_addr;  // default of --http.addr
  /// The largest request in bytes: commands are small.
  int max_request_bytes = 64 << 10;
  /// The time between two turns of the watchdog; shorter in tests.
  std::chrono::milliseconds watchdog_turn = std::chrono::seconds{1};
};

struct Context {
  caf::actor_system& system;
  Metrics& metrics;
  /// A program adds its loops in start().
  Watchdog& watchdog;
  /// The shared token for calls to other services; empty: none.
  const std::string& token;
};

/// One service. Order of the calls: add_flags, start, services, then readiness while it runs, stop, release. After a
/// start that failed only stop and release follow.
class Program {
 public:
  virtual ~Program() = default;
  virtual void add_flags(CLI::App& app) = 0;
  /// Called when the flags were read. An error is printed as one line and ends the process: with exit code 2 if it is
  /// INVALID_ARGUMENT, else 1.
  virtual absl::Status start(Context& context) = 0;
  /// The gRPC services to offer; called after start().
  virtual std::vector<grpc::Service*> services() = 0;
  /// For /readyz and the gRPC health check; called on any thread.
  virtual Readiness readiness() = 0;
  /// Makes blocking work return soon: ends streams, cancels calls. Returns at once.
  virtual void stop() = 0;
  /// Called when the gRPC server has shut down: ends actors, channels and clients.
  virtual void release() = 0;
};

/// Exit codes: 0 stopped by a signal, 1 cannot start or did not stop in time, 2 wrong usage, kExitBroken.
int service_main(const Info& info, Program& program, int argc, char** argv);

/// --network, --rollup-config and --override.FORK, which all services have.
struct ChainFlags {
  std::string network;
  std::string rollup_config;
  rollup::ForkTimes overrides{};
  void add(CLI::App& app);
  /// Reads the chosen config, applies the overrides, and logs forks that this version does not know.
  absl::StatusOr<rollup::Config> load() const;
};

}  // namespace towline::service
