// The file of --endpoints-file: URLs with keys stay off the command line.
//   [[endpoint]]
//   url = "https://..."                       required; http, https, ws or wss. Keys may be in its path, query or user
//   headers = ["Authorization: Bearer ..."]   optional, as are the rest
//   ca_file = "/etc/ssl/own.pem"              authorities that sign for it, instead of the system's
//   proxy = "http://proxy:3128"               "" for none; without it --proxy and the environment decide
//   group = "provider-a"                      who runs it: endpoints of one group have one vote together; without it,
//   the
//                                             registrable domain of the host
//   votes = ["unsafe", "safe", "finalized"]   on which labels it has a say; without it, on all
//   max_in_flight = 16
//   max_rps = 25.0
//   max_batch = 50                            calls in one batch at most, 1..1000; without it, that is learned
#pragma once
#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "services/remote-fetcher/actors/endpoint_view.hpp"

namespace towline::fetcher {

/// Errors name the place in the file and never its values.
absl::StatusOr<std::vector<EndpointConfig>> read_endpoints_file(const std::string& path,
                                                                const EndpointLimits& defaults);

}  // namespace towline::fetcher
