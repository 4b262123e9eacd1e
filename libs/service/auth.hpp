// Who may call what. A shared token, in the metadata "authorization: Bearer TOKEN", is asked for by every call that
// changes something, and by every stream where the service listens beyond loopback. Without a token a service does not
// listen beyond loopback unless it is told to.
#pragma once
#include <absl/status/statusor.h>
#include <grpcpp/security/server_credentials.h>

#include <map>
#include <memory>
#include <string>

#include "libs/telemetry/metrics.hpp"

namespace towline::service {

enum class Access {
  read,    // one answer, and nothing is changed
  watch,   // a stream, which takes one of a bounded number of places
  change,  // something is another way afterwards
};

/// Every method of proto/towline/v1, health and reflection, by its path "/package.Service/Method".
const std::map<std::string, Access, std::less<>>& access_of_methods();

/// Whether "host:port" is reached from this host alone.
bool is_loopback(const std::string& address);

/// What is asked of a call.
class Guard {
 public:
  /// No token: nothing is asked.
  Guard(std::string token, bool loopback) : token_{std::move(token)}, loopback_{loopback} {}
  /// `authorization` as it came, empty: none. UNAUTHENTICATED says what is missing and where it comes from.
  absl::Status check(absl::string_view path, absl::string_view authorization) const;

 private:
  const std::string token_;
  const bool loopback_;
};

/// Plain text, with `guard` before every call; `refused` counts. gRPC's own insecure credentials take no processor of
/// metadata.
std::shared_ptr<grpc::ServerCredentials> guarded_credentials(Guard guard, Metrics::Counter refused);

/// The flags of all services.
struct AuthFlags {
  std::string token_file;
  bool insecure = false;
  /// Reads the token; empty: none. An error says why the service may not listen on `address`.
  absl::StatusOr<std::string> token_for(const std::string& address) const;
};

}  // namespace towline::service
