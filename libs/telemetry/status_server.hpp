// The HTTP side of a service: /metrics, /livez and /readyz.
#pragma once
#include <absl/status/statusor.h>

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
  /// Listens on "host:port" (port 0: any). `ready` is called on a server thread. UNAVAILABLE: the address cannot be
  /// taken.
  static absl::StatusOr<std::unique_ptr<StatusServer>> start(const std::string& addr, const Metrics& metrics,
                                                             std::function<Readiness()> ready);
  ~StatusServer();
  int port() const;

 private:
  StatusServer();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace towline
