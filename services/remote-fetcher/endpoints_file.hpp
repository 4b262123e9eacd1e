// The file of --endpoints-file: URLs with keys stay off the command line.
//   [[endpoint]]
//   url = "https://..."                       required
//   headers = ["Authorization: Bearer ..."]   optional, as are the rest
//   ca_file = "/etc/ssl/own.pem"
//   max_in_flight = 16
//   max_rps = 25.0
#pragma once
#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "services/remote-fetcher/actors/pool.hpp"

namespace towline::fetcher {

/// Errors name the place in the file and never its values.
absl::StatusOr<std::vector<EndpointConfig>> read_endpoints_file(const std::string& path,
                                                                const EndpointLimits& defaults);

}  // namespace towline::fetcher
