#include "services/remote-fetcher/core/chain_clock.hpp"

#include <algorithm>
#include <functional>
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
  const std::size_t most = groups.size() / 2 + 1;
  if (groups.size() < 2 || ahead.size() < most) return absl::InfinitePast();
  std::vector<absl::Duration> furthest;
  for (const auto& [group, by] : ahead) furthest.push_back(by);
  std::sort(furthest.begin(), furthest.end(), std::greater<>{});
  return now + furthest[most - 1];
}

}  // namespace towline::fetcher
