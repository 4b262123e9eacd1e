#include "tools/towline/replicas.hpp"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>

namespace towline::cli {

std::vector<std::string> addresses_of(const std::string& target) {
  absl::string_view text = target;
  if (absl::ConsumePrefix(&text, "ipv4:") || absl::ConsumePrefix(&text, "ipv6:")) return absl::StrSplit(text, ',');
  absl::ConsumePrefix(&text, "dns:///");
  const auto colon = text.rfind(':');
  if (colon == absl::string_view::npos || text[0] == '[' || absl::StrContains(text.substr(0, colon), ":"))
    return {target};
  const std::string host{text.substr(0, colon)}, port{text.substr(colon + 1)};
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return {target};
  std::vector<std::string> out;
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    char ip[NI_MAXHOST];
    if (getnameinfo(a->ai_addr, a->ai_addrlen, ip, sizeof ip, nullptr, 0, NI_NUMERICHOST) != 0) continue;
    std::string address = a->ai_family == AF_INET6 ? absl::StrCat("[", ip, "]:", port) : absl::StrCat(ip, ":", port);
    if (std::find(out.begin(), out.end(), address) == out.end()) out.push_back(std::move(address));
  }
  freeaddrinfo(found);
  if (out.empty()) out.push_back(target);
  return out;
}

}  // namespace towline::cli
