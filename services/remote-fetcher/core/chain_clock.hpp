// How far the chain has come, by most of several trust groups: no honest source has a block of the future, so a clock
// that says less is late. Pure.
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

  /// `endpoint` names a head of that time, which is what the block's number says.
  void heard(const std::string& endpoint, absl::Time head, absl::Time now) { heads_[endpoint] = {head - now, now}; }
  /// It is not earlier than this. InfinitePast: there is one group only, or fewer than most were heard in the last
  /// minute.
  absl::Time at_least(absl::Time now) const;

 private:
  struct Heard {
    /// How far its head was ahead of our clock.
    absl::Duration ahead;
    absl::Time at;
  };
  const std::vector<Voter> voters_;
  std::map<std::string, Heard> heads_;
};

}  // namespace towline::fetcher
