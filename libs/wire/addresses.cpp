#include "libs/wire/addresses.hpp"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace towline::wire {

std::vector<std::string> resolve(const std::string& target) {
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
  if (getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return {};
  std::vector<std::string> out;
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    char ip[NI_MAXHOST];
    if (getnameinfo(a->ai_addr, a->ai_addrlen, ip, sizeof ip, nullptr, 0, NI_NUMERICHOST) != 0) continue;
    std::string address = a->ai_family == AF_INET6 ? absl::StrCat("[", ip, "]:", port) : absl::StrCat(ip, ":", port);
    if (std::find(out.begin(), out.end(), address) == out.end()) out.push_back(std::move(address));
  }
  freeaddrinfo(found);
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> addresses_of(const std::string& target) {
  auto out = resolve(target);
  if (out.empty()) out.push_back(target);
  return out;
}

struct AddressWatch::State {
  std::mutex mutex;
  std::condition_variable changed;
  bool stopped = false;
};

AddressWatch::AddressWatch(std::string target, absl::Duration first, absl::Duration period,
                           std::function<void(const std::vector<std::string>&)> on_addresses)
    : state_{std::make_shared<State>()} {
  std::thread{[state = state_, target = std::move(target), first, period, on_addresses = std::move(on_addresses)] {
    std::unique_lock lock{state->mutex};
    absl::Duration wait = first;
    while (!state->changed.wait_for(lock, absl::ToChronoMilliseconds(wait), [&] { return state->stopped; })) {
      lock.unlock();
      const auto found = resolve(target);
      lock.lock();
      if (!state->stopped && !found.empty()) on_addresses(found);
      wait = period;
    }
  }}.detach();
}

AddressWatch::~AddressWatch() {
  const std::lock_guard lock{state_->mutex};
  state_->stopped = true;
  state_->changed.notify_all();
}

}  // namespace towline::wire
