// The addresses behind a gRPC target, for what must reach every replica and not one of them.
#pragma once
#include <string>
#include <vector>

namespace towline::cli {

/// "dns:///remote-fetcher:7410" and "remote-fetcher:7410" as one "IP:7410" for each address of the name, and the
/// addresses of an ipv4: or ipv6: list. A target of another scheme, or one that does not resolve, stays as it is.
std::vector<std::string> addresses_of(const std::string& target);

}  // namespace towline::cli
