// The services as supervised child processes on one host: what `towline up` runs.
#pragma once
#include <absl/status/statusor.h>
#include <grpcpp/grpcpp.h>

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libs/rollup/config.hpp"
#include "tools/towline/held_port.hpp"
#include "tools/towline/liveness.hpp"
#include "tools/towline/process.hpp"
#include "tools/towline/service_flags.hpp"
#include "towline/v1/sync_coordinator.grpc.pb.h"

namespace towline::cli {

/// All services. The first one listens on the base port for gRPC and on the next port for HTTP, each further one ten
/// ports above. With the default base port these are the services' own defaults.
inline constexpr std::array<const char*, 4> kServices{"remote-fetcher", "sync-coordinator", "engine-driver",
                                                      "p2p-gossip"};
inline constexpr int kDefaultBasePort = 7410;
inline constexpr int kLargestBasePort = 65535 - 10 * static_cast<int>(kServices.size());

inline constexpr const char* kDefaultDataDir = "towline-data";
/// In the data directory.
inline constexpr const char* kTokenFile = "auth-token";

struct UpOptions {
  /// URLs, each optionally followed by "group=NAME".
  std::vector<std::string> sources;
  std::string engine;
  std::string network;
  std::string rollup_config;
  std::string unsafe_source = "both";
  bool p2p_disable = false;
  std::string data_dir = kDefaultDataDir;
  /// The services' shared token; empty: one in the data directory, made if it is not there.
  std::string token_file;
  /// See kServices; 0: any free ports, which are held until the end.
  int base_port = kDefaultBasePort;
  /// Further settings of each service.
  std::map<std::string, Environment> environment;
};

/// Whether p2p-gossip runs: unsafe blocks are wanted from the p2p network, and there are nodes to begin with, named by
/// the operator or known for the network.
bool runs_gossip(const UpOptions& o);
/// The servers for comparing the clock: the parts of the sources' URLs that may be shown, without the "group=NAME" that
/// may follow a URL.
std::vector<std::string> clock_sources(const std::vector<std::string>& sources);

class Fleet {
 public:
  /// Creates the data directory and starts the services.
  static absl::StatusOr<std::unique_ptr<Fleet>> start(const UpOptions& options);
  /// Stops all services within 5 seconds.
  ~Fleet();

  /// To be called a few times a second. Kills services that no longer answer /livez, restarts ended ones with back-off,
  /// and appends a line about each to `news`. An error: a service cannot run at all; the message is its own.
  /// INVALID_ARGUMENT: a flag is wrong.
  absl::Status supervise(std::vector<std::string>& news);

  /// The coordinator's status; nullopt: it does not answer (yet).
  std::optional<v1::SyncStatus> status();
  v1::SyncCoordinator::Stub& coordinator() { return *stub_; }
  /// gRPC address of p2p-gossip; empty: it does not run.
  std::string gossip_address() const;
  /// For a person: the services, their addresses, and the folder of the logs.
  std::string addresses() const;
  /// The names of the services: "a, b and c".
  std::string names() const;

 private:
  struct Service {
    std::unique_ptr<Process> process;
    std::string grpc, http;  // where it listens
    std::int64_t started_ms = 0;
    std::int64_t restart_ms = 0;
    int quick_deaths = 0;
    bool proven = false;  // it once ran for a while, so its flags are correct
  };
  Fleet() = default;

  std::vector<HeldPort> ports_;
  std::vector<Service> services_;  // in the order of their start
  std::string data_dir_;
  std::unique_ptr<v1::SyncCoordinator::Stub> stub_;
  std::unique_ptr<Liveness> liveness_;
};

/// After catch_stop_signals() stop_requested() is true once SIGINT, SIGTERM or SIGHUP came.
void catch_stop_signals();
bool stop_requested();

/// `towline up`: runs until told to stop. Returns the exit code: 0 stopped, 1 a service cannot run, 2 a flag is wrong;
/// the reason was printed.
int up(const UpOptions& options);

}  // namespace towline::cli
