// The addresses behind a gRPC target: for what must reach each replica of a service by itself.
#pragma once
#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace towline::wire {

/// "dns:///remote-fetcher:7410" and "remote-fetcher:7410" as one "IP:7410" for each address of the name, in an order,
/// and the addresses of an ipv4: or ipv6: list. A target of another scheme stays as it is. Empty: it does not resolve.
/// It may block for seconds.
std::vector<std::string> resolve(const std::string& target);

/// As above; a target that does not resolve stays as it is.
std::vector<std::string> addresses_of(const std::string& target);

/// Looks a target up again and again, on a thread of its own.
class AddressWatch {
 public:
  /// `on_addresses` runs on that thread, with what resolve() gives where it is not empty: after `first`, then each
  /// `period`. Hand over and return.
  AddressWatch(std::string target, absl::Duration first, absl::Duration period,
               std::function<void(const std::vector<std::string>&)> on_addresses);
  AddressWatch(const AddressWatch&) = delete;
  AddressWatch& operator=(const AddressWatch&) = delete;
  /// Nothing is called any more. It does not wait for a look-up, which nothing can end.
  ~AddressWatch();

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace towline::wire
