// The HTTP side of a service: /metrics, /livez and /readyz. Whoever reaches the port may send anything: a connection
// has one request of 8 KiB and 64 header lines at most, without a body, and 2 seconds for all of it; when there are too
// many the oldest one goes.
#pragma once
#include <absl/status/statusor.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "libs/telemetry/metrics.hpp"

namespace towline {

/// What /readyz says. `code` is a stable word for programs.
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

  /// Listens on "host:port" (port 0: any). `ready` is called on a thread that nothing but /readyz and /metrics waits
  /// for. `hung` is called on the server's own thread and must not wait: what it returns is why /livez fails, nothing
  /// if the process lives. UNAVAILABLE: the address cannot be taken.
  static absl::StatusOr<std::unique_ptr<StatusServer>> start(const std::string& addr, const Metrics& metrics,
                                                             std::function<Readiness()> ready,
                                                             std::function<std::string()> hung, Options options);
  ~StatusServer();
  int port() const;
  /// `turn` is called when the thread that answers /livez gets to it.
  void ask_turn(std::function<void()> turn);

 private:
  StatusServer();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace towline
