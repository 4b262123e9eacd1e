// Whom to believe. What each source says of its chain goes in; the labels that a quorum of groups has, and the source
// whose unsafe head leads, come out. One trust group is one vote, however many endpoints it has. Pure.
#pragma once
#include <absl/time/time.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/remote-fetcher/core/electorate.hpp"
#include "services/remote-fetcher/core/heads.hpp"

namespace towline::fetcher {

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
  /// It was quarantined or cordoned.
  void drop(const std::string& endpoint) { views_.erase(endpoint); }

  /// What a subscriber that holds `confirmed_finalized` as final is to follow: the leader's snapshot, with the labels
  /// of the vote. nullopt: nobody may lead.
  std::optional<contract::HeadSnapshot> choose(absl::Time now,
                                               const std::optional<eth::BlockId>& confirmed_finalized = {}) const;
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
