// Who is likely to run an endpoint: whoever can answer for its host. Pure.
#pragma once
#include <absl/strings/string_view.h>

#include <string>

namespace towline::fetcher {

/// The registrable domain of a host (https://publicsuffix.org): rpc.eu.example.co.uk is of example.co.uk. The host
/// itself where it is an IP address or has no public suffix, as names of a private network.
std::string trust_group_of(absl::string_view host);

}  // namespace towline::fetcher
