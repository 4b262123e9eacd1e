#include "services/remote-fetcher/core/chain_clock.hpp"

#include <algorithm>
#include <set>

namespace towline::fetcher {
namespace {

constexpr absl::Duration kFresh = absl::Minutes(1);

}  // namespace

absl::Time ChainClock::at_least(absl::Time now) const {
  std::set<std::string> groups;
  std::map<std::string, absl::Duration> ahead;
  for (const Voter& v : voters_) {
    if (!v.unsafe) continue;
    groups.insert(v.group);
    const auto it = heads_.find(v.endpoint);
    if (it == heads_.end() || now - it->second.at > kFresh) continue;
    const auto [group, first] = ahead.emplace(v.group, it->second.ahead);
    if (!first) group->second = std::min(group->second, it->second.ahead);
  }
  const auto most = most_reach(ahead, groups.size());
  return most ? now + *most : absl::InfinitePast();
}

}  // namespace towline::fetcher
