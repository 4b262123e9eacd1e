// Who probably runs an endpoint: the owner of its host name. Pure.
#pragma once
#include <absl/strings/string_view.h>

#include <string>

namespace towline::fetcher {

/// The registrable domain of a host (https://publicsuffix.org): example.co.uk for rpc.eu.example.co.uk. The host itself
/// if it is an IP address or has no public suffix, like names of a private network.
std::string trust_group_of(absl::string_view host);

}  // namespace towline::fetcher
