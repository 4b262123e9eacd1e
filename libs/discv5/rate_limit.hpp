// A rate limit per address and in total. Its memory does not grow with the addresses, because addresses share slots.
// Pure.
#pragma once
#include <absl/hash/hash.h>
#include <absl/time/time.h>

#include <array>

#include "libs/p2p/multiaddr.hpp"

namespace towline::discv5 {

class RateLimit {
 public:
  /// `seed`: keeps others from choosing addresses that share a slot with a victim's.
  RateLimit(std::uint32_t per_address, std::uint32_t in_all, std::uint64_t seed)
      : per_address_{per_address}, in_all_{in_all}, seed_{seed} {}

  bool allow(const p2p::Ip& ip, absl::Time now) {
    if (now >= window_end_) {
      window_end_ = now + absl::Seconds(1);
      slots_.fill(0);
      total_ = 0;
    }
    std::uint32_t& n = slots_[absl::HashOf(seed_, ip) % slots_.size()];
    if (n >= per_address_ || total_ >= in_all_) return false;
    ++n;
    ++total_;
    return true;
  }

 private:
  const std::uint32_t per_address_, in_all_;
  const std::uint64_t seed_;
  absl::Time window_end_ = absl::InfinitePast();
  std::array<std::uint32_t, 1024> slots_{};
  std::uint32_t total_ = 0;
};

}  // namespace towline::discv5
