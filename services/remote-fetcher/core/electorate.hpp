// Who votes, and the result of votes on single blocks. A trust group has one vote, however many endpoints it has. Pure.
#pragma once
#include <absl/functional/function_ref.h>
#include <absl/status/status.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "libs/contract/heads.hpp"

namespace towline::fetcher {

/// An endpoint's configuration; the order of the list is best first.
struct Voter {
  std::string endpoint;
  /// Who runs the endpoint: all endpoints of one group share one vote.
  std::string group;
  /// The labels on which the endpoint has a vote.
  bool unsafe = true, safe = true, finalized = true;
};

/// The number of groups that must have a block before a label moves there. 0: a majority of the configured groups.
struct Quorum {
  std::size_t safe = 0, finalized = 0;
};

/// INVALID_ARGUMENT: no endpoint votes on a label, or a quorum exceeds the number of groups.
absl::Status check(const std::vector<Voter>& voters, const Quorum& quorum);
/// The number of groups with a vote on each label, and the quorums.
struct Electorate {
  std::size_t unsafe = 0, safe = 0, finalized = 0;
  std::size_t safe_quorum = 0, finalized_quorum = 0;
};
Electorate electorate(const std::vector<Voter>& voters, const Quorum& quorum);

/// The number of configured trust groups.
std::size_t count_groups(const std::vector<Voter>& voters);

/// The hash that all answering voters have, else the one that a majority of the configured groups has. A group whose
/// members differ has no vote. `answers`: by index of the voter. nullopt: neither.
std::optional<Hash32> elect(const std::vector<Voter>& voters, const std::map<std::size_t, Hash32>& answers);

/// The value that a majority of `groups` has reached; `far`: by group. nullopt: too few are known, or there is only one
/// group.
template <class T>
std::optional<T> most_reach(const std::map<std::string, T>& far, std::size_t groups) {
  const std::size_t most = groups / 2 + 1;
  if (groups < 2 || far.size() < most) return std::nullopt;
  std::vector<T> furthest;
  furthest.reserve(far.size());
  for (const auto& [group, reached] : far) furthest.push_back(reached);
  std::sort(furthest.begin(), furthest.end(), std::greater<>{});
  return furthest[most - 1];
}

/// The height up to which the vote is final; 0: there is no quorum for it.
std::uint64_t final_up_to(const contract::HeadSnapshot& vote);
/// A proven range of blocks: the hash at a height, nullopt outside the range.
using ProvenRange = absl::FunctionRef<std::optional<Hash32>(std::uint64_t number)>;
/// FAILED_PRECONDITION: the range misses a block that the vote calls safe or finalized, or that a majority has.
absl::Status check_range(const contract::HeadSnapshot& vote, ProvenRange range);
/// True if the range contains the vote's finalized block and `number` is not above it. A source with another block
/// there is wrong; above it, a source may merely be on another branch.
bool is_settled(const contract::HeadSnapshot& vote, ProvenRange range, std::uint64_t number);

/// The blocks of one endpoint at some heights, as it reported them.
struct Testimony {
  /// True: hashes recomputed from headers of an EL. False: claimed by a CL.
  bool by_el = true;
  std::map<std::uint64_t, Hash32> has;
};
/// The blocks that more than half of the configured groups have in common. `said`: by index of the voter. A silent
/// group, or one whose endpoints differ, has no vote. In a group with both kinds, the ELs count.
std::map<std::uint64_t, Hash32> majority(const std::vector<Voter>& voters,
                                         const std::map<std::size_t, Testimony>& said);

}  // namespace towline::fetcher
