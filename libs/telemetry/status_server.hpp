// The HTTP side of a service: /metrics, /livez and /readyz. Clients are not trusted: a connection has one request of at
// most 8 KiB and 64 header lines, without a body, and 2 seconds for all of it. When there are too many connections the
// oldest one is closed.
#pragma once
#include <absl/status/statusor.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "libs/telemetry/metrics.hpp"

namespace towline {

/// The answer of /readyz. `code` is a stable word for programs.
struct Readiness {
  bool ready = false;
  std::string code;
  std::string reason;
  std::map<std::string, std::string> details;
};

class StatusServer {
 public:
  struct Options {
    std::size_t max_connections = 64;
    std::chrono::milliseconds request_time{2000};
  };

  /// Listens on "host:port" (port 0: any). `ready` is called on a thread for which only /readyz and /metrics wait.
  /// `hung` is called on the server's own thread and must not block; it returns why /livez fails, empty: the process
  /// lives. UNAVAILABLE: the address is not available.
  static absl::StatusOr<std::unique_ptr<StatusServer>> start(const std::string& addr, const Metrics& metrics,
                                                             std::function<Readiness()> ready,
                                                             std::function<std::string()> hung, Options options);
  ~StatusServer();
  int port() const;
  /// Calls `turn` when the thread that answers /livez gets to it.
  void ask_turn(std::function<void()> turn);

 private:
  StatusServer();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace towline
