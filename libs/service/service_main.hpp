// What every service's main() shares: flags (= environment = config file), log, metrics, signals, the gRPC server with
// reflection and health, and the order of start and stop.
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
  std::string grpc_addr;  // defaults
  std::string http_addr;
  /// The largest message that a caller may send: commands are small.
  int max_request_bytes = 64 << 10;
  /// Of the watchdog; tests have shorter ones.
  std::chrono::milliseconds watchdog_turn = std::chrono::seconds{1};
};

struct Context {
  caf::actor_system& system;
  Metrics& metrics;
  /// A program names its loops to it, in start().
  Watchdog& watchdog;
  /// For calls of other services; empty: none.
  const std::string& token;
};

/// One service. Calls come in this order: add_flags, start, (services run), stop, wait.
class Program {
 public:
  virtual ~Program() = default;
  virtual void add_flags(CLI::App& app) = 0;
  /// After the flags were read. An error is printed as one line and ends the process with exit code 1.
  virtual absl::Status start(Context& context) = 0;
  /// The gRPC services to offer; valid after start().
  virtual std::vector<grpc::Service*> services() = 0;
  /// Asked on /readyz, on any thread.
  virtual Readiness readiness() = 0;
  /// Makes everything that blocks return soon: streams end, calls are cancelled. Any thread, returns at once.
  virtual void stop() = 0;
  /// After the gRPC server is gone: lets actors, channels and clients go.
  virtual void release() = 0;
};

/// Exit codes: 0 stopped by a signal, 1 cannot start, 2 wrong usage (as CLI11 says it), 3 a loop hangs.
constexpr int kHangs = 3;
int service_main(const Info& info, Program& program, int argc, char** argv);

/// --network / --rollup-config and --override.FORK, which all services take.
struct ChainFlags {
  std::string network;
  std::string rollup_config;
  rollup::ForkTimes overrides{};
  void add(CLI::App& app);
  /// Reads the chosen config, applies the overrides and names forks that this version does not know in the log.
  absl::StatusOr<rollup::Config> load() const;
};

}  // namespace towline::service
