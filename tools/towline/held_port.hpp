// Holds a TCP port for a child process that is told its number.
#pragma once
#include <absl/status/statusor.h>

#include <utility>

namespace towline::cli {

/// A port of 127.0.0.1 that the kernel gives to nobody else while this object lives: its socket stays bound. The socket
/// does not listen, so a program that asks for this number with SO_REUSEADDR, as servers do, can listen on it, and
/// again after each restart.
class HeldPort {
 public:
  /// Takes this port; 0: any free port.
  static absl::StatusOr<HeldPort> take(int number = 0);
  HeldPort(HeldPort&& other) noexcept : fd_{std::exchange(other.fd_, -1)}, number_{other.number_} {}
  HeldPort& operator=(HeldPort&&) = delete;
  ~HeldPort();

  int number() const { return number_; }

 private:
  explicit HeldPort(int fd) : fd_{fd} {}
  int fd_;
  int number_ = 0;
};

}  // namespace towline::cli
