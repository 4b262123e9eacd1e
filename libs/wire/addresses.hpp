// The addresses behind a gRPC target, for callers that must reach each replica of a service.
#pragma once
#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace towline::wire {

/// "dns:///remote-fetcher:7410" and "remote-fetcher:7410" give one "IP:7410" for each address of the name, sorted; an
/// ipv4: or ipv6: list gives its addresses. A target of another scheme stays as it is. Empty: the name does not
/// resolve. The call may block for seconds.
std::vector<std::string> resolve(const std::string& target);

/// As resolve(), but a target that does not resolve stays as it is.
std::vector<std::string> addresses_of(const std::string& target);

/// Resolves a target periodically, on a thread of its own.
class AddressWatch {
 public:
  /// `on_addresses` runs on that thread with the result of resolve() if that is not empty: after `first`, then each
  /// `period`. Hand over and return.
  AddressWatch(std::string target, absl::Duration first, absl::Duration period,
               std::function<void(const std::vector<std::string>&)> on_addresses);
  AddressWatch(const AddressWatch&) = delete;
  AddressWatch& operator=(const AddressWatch&) = delete;
  /// After it `on_addresses` is not called any more. It does not wait for a look-up in progress, which cannot be
  /// cancelled.
  ~AddressWatch();

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace towline::wire
