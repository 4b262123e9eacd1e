// Who may call which method. Every call that changes something needs the shared token, in the metadata
// "authorization: Bearer TOKEN"; where the service listens beyond loopback so does every stream. Without a token a
// service listens beyond loopback only with --insecure.
#pragma once
#include <absl/status/statusor.h>
#include <grpcpp/security/server_credentials.h>

#include <map>
#include <memory>
#include <string>

#include "libs/telemetry/metrics.hpp"

namespace towline::service {

enum class Access {
  read,    // one answer; changes nothing
  watch,   // a stream, which takes one of a bounded number of places
  change,  // changes something
};

/// Every method of proto/towline/v1, health and reflection, by its path "/package.Service/Method".
const std::map<std::string, Access, std::less<>>& access_of_methods();

/// Whether "host:port" is reached from this host alone.
bool is_loopback(const std::string& address);

/// Checks calls for the token.
class Guard {
 public:
  /// `token` empty: no call needs one. `loopback`: the service listens on loopback only.
  Guard(std::string token, bool loopback) : token_{std::move(token)}, loopback_{loopback} {}
  /// `authorization`: the metadata value; empty: none. UNAUTHENTICATED says what is missing and where to get it.
  absl::Status check(absl::string_view path, absl::string_view authorization) const;

 private:
  const std::string token_;
  const bool loopback_;
};

/// Plain-text credentials with `guard` before every call; `refused` counts refusals. gRPC's own insecure credentials
/// take no metadata processor.
std::shared_ptr<grpc::ServerCredentials> guarded_credentials(Guard guard, Metrics::Counter refused);

/// The authentication flags that all services have.
struct AuthFlags {
  std::string token_file;
  bool insecure = false;
  /// Reads the token; empty: no token file is given. An error says why the service may not listen on `address`.
  absl::StatusOr<std::string> token_for(const std::string& address) const;
};

}  // namespace towline::service
