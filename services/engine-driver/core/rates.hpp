// Rates over the last seconds, for progress and ETA. Pure.
#pragma once
#include <absl/time/time.h>

#include <cstdint>
#include <deque>

namespace towline::driver {

class Rates {
 public:
  void add(absl::Time now, std::uint64_t gas);
  double blocks_per_s(absl::Time now) const;
  double mgas_per_s(absl::Time now) const;

 private:
  /// One entry per 250 ms, so the memory is bounded at any rate.
  struct Slot {
    absl::Time start;
    std::uint64_t blocks = 0;
    std::uint64_t gas = 0;
  };
  double per_second(absl::Time now, std::uint64_t Slot::*what) const;
  std::deque<Slot> slots_;
};

}  // namespace towline::driver
