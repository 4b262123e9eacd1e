// Who votes, and what votes on single blocks come to: one trust group is one vote, however many endpoints it has. Pure.
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

/// An endpoint as it is configured; their order is best first.
struct Voter {
  std::string endpoint;
  /// Who runs it: those of one group have one vote together.
  std::string group;
  /// On which labels it has a say.
  bool unsafe = true, safe = true, finalized = true;
};

/// Groups that must have a block for a label to move there. 0: a majority of those that are configured.
struct Quorum {
  std::size_t safe = 0, finalized = 0;
};

/// INVALID_ARGUMENT: nobody votes on a label, or a quorum is larger than the groups.
absl::Status check(const std::vector<Voter>& voters, const Quorum& quorum);
/// Groups with a vote on each label, and how many of them are needed.
struct Electorate {
  std::size_t unsafe = 0, safe = 0, finalized = 0;
  std::size_t safe_quorum = 0, finalized_quorum = 0;
};
Electorate electorate(const std::vector<Voter>& voters, const Quorum& quorum);

/// Trust groups that are configured.
std::size_t count_groups(const std::vector<Voter>& voters);

/// The hash that all have who answered, else the one that a majority of the configured groups has: a group whose
/// members differ has no vote. `answers`: by voter. nullopt: neither.
std::optional<Hash32> elect(const std::vector<Voter>& voters, const std::map<std::size_t, Hash32>& answers);

/// What most of `groups` have come to, of how far each is; nullopt: fewer are known, or there is one only.
template <class T>
std::optional<T> most_reach(const std::map<std::string, T>& far, std::size_t groups) {
  const std::size_t most = groups / 2 + 1;
  if (groups < 2 || far.size() < most) return std::nullopt;
  std::vector<T> furthest;
  for (const auto& [group, reached] : far) furthest.push_back(reached);
  std::sort(furthest.begin(), furthest.end(), std::greater<>{});
  return furthest[most - 1];
}

/// Up to here no chain has another block than that of the vote; 0: no quorum says so.
std::uint64_t final_up_to(const contract::HeadSnapshot& vote);
/// A range of blocks that was proven by their hashes: the one at a height, nullopt outside of it.
using ProvenRange = absl::FunctionRef<std::optional<Hash32>(std::uint64_t number)>;
/// FAILED_PRECONDITION: the range passes by a block that the vote calls safe or final, or that most have.
absl::Status check_range(const contract::HeadSnapshot& vote, ProvenRange range);
/// The range goes through the final block of the vote, and `number` is not above that: whoever has another block there
/// is on no chain that may still be right. Anybody else may only be on another branch.
bool is_settled(const contract::HeadSnapshot& vote, ProvenRange range, std::uint64_t number);

/// What an endpoint has at some heights, asked for by itself.
struct Testimony {
  /// The hashes were recomputed; else they are the word of a CL.
  bool by_el = true;
  std::map<std::uint64_t, Hash32> has;
};
/// Where more than half of the configured groups have one and the same block. `said`: by voter. A group that is silent,
/// or whose endpoints differ, has none. Of a group with both the EL counts.
std::map<std::uint64_t, Hash32> majority(const std::vector<Voter>& voters,
                                         const std::map<std::size_t, Testimony>& said);

}  // namespace towline::fetcher
