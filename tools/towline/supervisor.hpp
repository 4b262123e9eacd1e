// The services as child processes of one host, watched over: what `towline up` runs.
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

/// All services. The first listens on the base port for gRPC and on the next one for HTTP, each other one ten ports
/// further. From the default base port on these are the services' own defaults.
inline constexpr std::array<const char*, 4> kServices{"remote-fetcher", "sync-coordinator", "engine-driver",
                                                      "p2p-gossip"};
inline constexpr int kDefaultBasePort = 7410;
inline constexpr int kLargestBasePort = 65535 - 10 * static_cast<int>(kServices.size());

inline constexpr const char* kDefaultDataDir = "towline-data";
/// In the data directory.
inline constexpr const char* kTokenFile = "auth-token";

struct UpOptions {
  /// URLs, each with "group=NAME" behind it or not.
  std::vector<std::string> sources;
  std::string engine;
  std::string network;
  std::string rollup_config;
  std::string unsafe_source = "both";
  bool p2p_disable = false;
  std::string data_dir = kDefaultDataDir;
  /// The services' shared token; empty: one in the data directory, made if it is not there.
  std::string token_file;
  /// See kServices; 0: any free ports. They are kept until the end.
  int base_port = kDefaultBasePort;
  /// What else is set of a service's flags.
  std::map<std::string, Environment> environment;
};

/// Unsafe blocks are wanted from the p2p network, and there is somebody to begin with: peers or boot nodes that the
/// operator names, or those of a known network.
bool runs_gossip(const UpOptions& o);
/// Whose clocks ours is compared with: what may be shown of the sources' URLs. "group=NAME", which --source is split
/// into behind a URL, is none.
std::vector<std::string> clock_sources(const std::vector<std::string>& sources);

class Fleet {
 public:
  /// Creates the data directory and starts the services.
  static absl::StatusOr<std::unique_ptr<Fleet>> start(const UpOptions& options);
  /// Stops all of them, within 5 seconds.
  ~Fleet();

  /// To be called a few times a second. Ends what no longer answers /livez, starts again what ended, with back-off, and
  /// appends a line about it to `news`. An error: a service cannot run at all; it says why in the service's own words.
  /// InvalidArgument: a flag is wrong.
  absl::Status supervise(std::vector<std::string>& news);

  /// What the coordinator says now; nothing when it does not answer (yet).
  std::optional<v1::SyncStatus> status();
  v1::SyncCoordinator::Stub& coordinator() { return *stub_; }
  /// gRPC address of p2p-gossip; empty: it does not run.
  std::string gossip_address() const;
  /// For a person: what runs, where it listens and where the logs are.
  std::string addresses() const;
  /// "a, b and c": what runs.
  std::string names() const;

 private:
  struct Service {
    std::unique_ptr<Process> process;
    std::string grpc, http;  // where it listens
    std::int64_t started_ms = 0;
    std::int64_t restart_ms = 0;
    int quick_deaths = 0;
    bool proven = false;  // it once ran for a while, so its flags are right
  };
  Fleet() = default;

  std::vector<HeldPort> ports_;
  std::vector<Service> services_;  // in the order of their start
  std::string data_dir_;
  std::unique_ptr<v1::SyncCoordinator::Stub> stub_;
  std::unique_ptr<Liveness> liveness_;
};

/// True after SIGINT, SIGTERM or SIGHUP, once catch_stop_signals() was called.
void catch_stop_signals();
bool stop_requested();

/// `towline up`: runs until told to stop. Exit code: 0 stopped, 1 a service cannot run (it has said why), 2 because of
/// a wrong flag.
int up(const UpOptions& options);

}  // namespace towline::cli
