// A TCP port that stays ours, for a child that is told its number.
#pragma once
#include <absl/status/statusor.h>

#include <utility>

namespace towline::cli {

/// A port of 127.0.0.1 that the kernel gives to nobody else while this lives: its socket stays bound. It does not
/// listen, so a program that asks for the very number (with SO_REUSEADDR, as servers do) can, and again after each
/// restart.
class HeldPort {
 public:
  /// This very one, or with 0 any that is free.
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
