// Whom to believe. What each source says of its chain goes in; the labels that a quorum of groups has, and the source
// whose unsafe head leads, come out. One trust group is one vote, however many endpoints it has. Pure.
#pragma once
#include <absl/functional/function_ref.h>
#include <absl/time/time.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/remote-fetcher/core/heads.hpp"

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

class Vote {
 public:
  /// What counts as seen of a source: heads older than `late_after` lead only where there are no others, as do heads
  /// that have stood still for `stalled_after` while another's moved on; views older than `stale_after` are not used.
  struct Ages {
    absl::Duration late, stale, stalled;
  };
  Vote(std::vector<Voter> voters, Quorum quorum, Ages ages);

  /// Heights to compare: what the next look at `endpoint` asks for beside its labels.
  std::vector<std::uint64_t> heights(const std::string& endpoint, absl::Time now) const;
  /// A look: its heads, and the hashes that it has at the heights that were asked for (what it lacks is left out).
  void put(contract::HeadSnapshot s, const std::vector<std::uint64_t>& asked,
           const std::map<std::uint64_t, Hash32>& has);
  /// It was set aside or cordoned.
  void drop(const std::string& endpoint) { views_.erase(endpoint); }

  /// What a subscriber that holds `anchor` as final is to follow: the leader's snapshot, with the labels of the vote.
  /// nullopt: nobody may lead.
  std::optional<contract::HeadSnapshot> choose(absl::Time now, const std::optional<eth::BlockId>& anchor = {}) const;
  /// Somebody is heard, whether or not somebody may lead.
  bool anybody(absl::Time now) const { return !heard(now).empty(); }
  /// Its own word, as it said it last.
  std::optional<contract::HeadSnapshot> of(const std::string& endpoint) const;
  /// Its head stands still, and another's has moved on since for `stalled`.
  bool stalled(const std::string& endpoint) const;
  /// Another EL's headers verify.
  bool others_verify(const std::string& endpoint, absl::Time now) const;
  /// How it stands to the others, for a person.
  struct Standing {
    /// It is not of the branch that most have.
    bool dissents = false;
    std::string text;
  };
  Standing standing(const std::string& endpoint, absl::Time now) const;

 private:
  struct View {
    contract::HeadSnapshot heads;
    std::set<std::uint64_t> asked;
    /// Its labels, and what it has at the heights that were asked for.
    std::map<std::uint64_t, Hash32> chain;
    /// What it had at or below its safe block at the look before, where nothing newer is known: two sources that are
    /// looked at in turn, and move, have no height in common otherwise.
    std::map<std::uint64_t, Hash32> before;
    /// Its highest unsafe head, and when that was seen first.
    std::uint64_t highest = 0;
    absl::Time moved;
    /// Looks in a row at which it had another unsafe block than the source named.
    std::map<std::string, int> differed;

    /// It has another block at that height.
    bool contradicts(const eth::BlockId& b) const;
    /// Both have one block.
    bool shares_block_with(const View& other) const;
    /// They have different ones at some height from `low` to `high`.
    bool differs_from(const View& other, std::uint64_t low, std::uint64_t high) const;
  };
  struct Source {
    const Voter* voter;
    std::size_t order;
    const View* view;
  };
  /// A group's word on one label.
  struct Word {
    std::uint64_t label = 0;
    std::vector<const View*> chain;
    /// Its members have different blocks at or below the label.
    bool split = false;
    std::optional<Hash32> at(std::uint64_t number) const;
  };
  struct Voted {
    std::optional<eth::BlockRef> block;
    contract::Hold hold = contract::Hold::none;
  };
  using Has = bool Voter::*;
  using Label = std::optional<eth::BlockRef> contract::HeadSnapshot::*;

  std::vector<Source> heard(absl::Time now) const;
  bool stalled(const View& v) const;
  std::optional<Word> word(const std::vector<Source>& members, Has vote, Label label) const;
  Voted vote(const std::vector<Source>& sources, const std::set<std::string>& contradicting, Has may, Label label,
             std::size_t quorum) const;
  /// Why it leads only where there is no better one; the worst of it.
  enum class Blemish { none, no_vote, apart, behind, stalled, late, replays, unconfirmed };
  /// Its head is behind what most have by more than sources that are looked at in turn are.
  bool behind(const Source& s, const std::vector<Source>& sources) const;
  Blemish blemish(const Source& s, const std::vector<Source>& sources, absl::Time now) const;
  /// Looks in a row at which they had different blocks; kUnsettled or more: they are of two branches. One or two may be
  /// replicas behind a balancer that are not at one height.
  static int looks_apart(const Source& a, const Source& b);
  /// Groups with a vote on unsafe heads that had no other block than `s` at the last looks, its own among them.
  std::size_t agreeing(const Source& s, const std::vector<Source>& sources) const;
  /// Of the sources in the order of the list; the branch with most votes first.
  std::vector<std::vector<Source>> branches(const std::vector<Source>& sources) const;
  /// The highest block that most of several groups are known to have.
  std::optional<eth::BlockId> agreed(const std::vector<Source>& sources) const;
  /// Most of the configured groups have that block, whatever they call it.
  bool most_have(const eth::BlockId& b, const std::vector<Source>& sources) const;
  std::size_t votes(const std::vector<Source>& branch, const std::vector<std::vector<Source>>& all) const;

  const std::vector<Voter> voters_;
  const Electorate electorate_;
  const Ages ages_;
  std::map<std::string, View> views_;
};

}  // namespace towline::fetcher
