#include "services/remote-fetcher/core/electorate.hpp"

#include <absl/strings/str_cat.h>

#include <tuple>

namespace towline::fetcher {
namespace {

/// All groups, or those with this vote.
std::set<std::string> groups_of(const std::vector<Voter>& voters, bool Voter::*vote = nullptr) {
  std::set<std::string> groups;
  for (const Voter& v : voters)
    if (vote == nullptr || v.*vote) groups.insert(v.group);
  return groups;
}

/// The hash that more than half of `groups` have; a group with several hashes has no vote. `said`: hashes by group.
std::optional<Hash32> most(const std::map<std::string, std::set<Hash32>>& said, std::size_t groups) {
  std::map<Hash32, std::size_t> votes;
  for (const auto& [group, hashes] : said)
    if (hashes.size() == 1 && ++votes[*hashes.begin()] * 2 > groups) return *hashes.begin();
  return std::nullopt;
}

}  // namespace

Electorate electorate(const std::vector<Voter>& voters, const Quorum& quorum) {
  Electorate e{groups_of(voters, &Voter::unsafe).size(), groups_of(voters, &Voter::safe).size(),
               groups_of(voters, &Voter::finalized).size(), quorum.safe, quorum.finalized};
  if (e.safe_quorum == 0) e.safe_quorum = e.safe / 2 + 1;
  if (e.finalized_quorum == 0) e.finalized_quorum = e.finalized / 2 + 1;
  return e;
}

absl::Status check(const std::vector<Voter>& voters, const Quorum& quorum) {
  const Electorate e = electorate(voters, quorum);
  for (const auto& [label, groups, needed, flag] :
       {std::tuple{"unsafe", e.unsafe, std::size_t{1}, ""}, std::tuple{"safe", e.safe, e.safe_quorum, "--quorum.safe"},
        std::tuple{"finalized", e.finalized, e.finalized_quorum, "--quorum.finalized"}}) {
    if (groups == 0) return absl::InvalidArgumentError(absl::StrCat("votes: no endpoint has a vote on ", label));
    if (needed > groups)
      return absl::InvalidArgumentError(absl::StrCat(flag, ": ", needed, " groups are asked for, and ", groups, " ",
                                                     groups == 1 ? "is" : "are", " configured with a vote on ", label));
  }
  return absl::OkStatus();
}

std::size_t count_groups(const std::vector<Voter>& voters) { return groups_of(voters).size(); }

std::optional<Hash32> elect(const std::vector<Voter>& voters, const std::map<std::size_t, Hash32>& answers) {
  std::map<std::string, std::set<Hash32>> said;
  std::set<Hash32> hashes;
  for (const auto& [i, hash] : answers) {
    said[voters[i].group].insert(hash);
    hashes.insert(hash);
  }
  if (hashes.size() == 1) return *hashes.begin();
  return most(said, count_groups(voters));
}

std::map<std::uint64_t, Hash32> majority(const std::vector<Voter>& voters,
                                         const std::map<std::size_t, Testimony>& said) {
  std::map<std::uint64_t, std::map<std::string, std::set<Hash32>>> by_els, at;
  for (const auto& [i, testimony] : said) {
    for (const auto& [number, hash] : testimony.has)
      (testimony.by_el ? by_els : at)[number][voters[i].group].insert(hash);
  }
  for (const auto& [number, groups] : by_els)
    for (const auto& [group, hashes] : groups) at[number][group] = hashes;
  std::map<std::uint64_t, Hash32> out;
  for (const auto& [number, groups] : at)
    if (const auto hash = most(groups, count_groups(voters))) out[number] = *hash;
  return out;
}

absl::Status check_range(const contract::HeadSnapshot& vote, ProvenRange range) {
  for (const auto& [label, hold, what] :
       {std::tuple{vote.safe, vote.safe_hold, "safe"}, std::tuple{vote.finalized, vote.finalized_hold, "final"}}) {
    if (!label || hold == contract::Hold::quorum_lost) continue;
    if (const auto hash = range(label->number); hash && *hash != label->hash)
      return absl::FailedPreconditionError(absl::StrCat("the chain passes by ", eth::to_string(*label),
                                                        ", which a quorum of the trust groups calls ", what));
  }
  if (!vote.agreed) return absl::OkStatus();
  if (const auto hash = range(vote.agreed->number); hash && *hash != vote.agreed->hash)
    return absl::FailedPreconditionError(
        absl::StrCat("the chain passes by ", eth::to_string(*vote.agreed), ", which most trust groups have"));
  return absl::OkStatus();
}

std::uint64_t final_up_to(const contract::HeadSnapshot& vote) {
  return vote.finalized_hold == contract::Hold::none ? number_of(vote.finalized) : 0;
}

bool is_settled(const contract::HeadSnapshot& vote, ProvenRange range, std::uint64_t number) {
  return vote.finalized && number <= final_up_to(vote) && range(vote.finalized->number) == vote.finalized->hash;
}

}  // namespace towline::fetcher
