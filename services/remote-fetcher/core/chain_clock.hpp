// The chain's time, according to a majority of several trust groups. No honest source has a block from the future, so a
// clock below this time is late. Pure.
#pragma once
#include <absl/time/time.h>

#include <map>
#include <string>
#include <vector>

#include "services/remote-fetcher/core/vote.hpp"

namespace towline::fetcher {

class ChainClock {
 public:
  explicit ChainClock(std::vector<Voter> voters) : voters_{std::move(voters)} {}

  /// `endpoint` names a head with the time `head`, which matches the block's number.
  void heard(const std::string& endpoint, absl::Time head, absl::Time now) { heads_[endpoint] = {head - now, now}; }
  /// A lower bound for the time. InfinitePast: there is only one group, or no majority was heard in the last minute.
  absl::Time at_least(absl::Time now) const;

 private:
  struct Heard {
    /// How far the head was ahead of our clock.
    absl::Duration ahead;
    absl::Time at;
  };
  const std::vector<Voter> voters_;
  std::map<std::string, Heard> heads_;
};

}  // namespace towline::fetcher
