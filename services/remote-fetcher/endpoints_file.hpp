// The file of --endpoints-file: URLs with keys stay off the command line.
//   [[endpoint]]
//   url = "https://..."                       required; http, https, ws or wss. Keys may be in its path, query or user
//   headers = ["Authorization: Bearer ..."]   optional, like all keys below
//   ca_file = "/etc/ssl/own.pem"              certificate authorities for this endpoint, instead of the system's
//   proxy = "http://proxy:3128"               "" for none; default: --proxy, then the environment
//   group = "provider-a"                      who runs it: endpoints of one group share one vote; default: the
//                                             registrable domain of the host
//   votes = ["unsafe", "safe", "finalized"]   the labels on which it has a vote; default: all
//   max_in_flight = 16
//   max_rps = 25.0
//   max_batch = 50                            largest number of calls in one batch, 1..1000; default: learned
#pragma once
#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "services/remote-fetcher/actors/endpoint_view.hpp"

namespace towline::fetcher {

/// Errors name the place in the file, never its values.
absl::StatusOr<std::vector<EndpointConfig>> read_endpoints_file(const std::string& path,
                                                                const EndpointLimits& defaults);

}  // namespace towline::fetcher
