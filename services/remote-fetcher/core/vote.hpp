// Which sources to believe. In: what each source says about its chain. Out: the labels that a quorum of groups has, and
// the source whose unsafe head leads. A trust group has one vote, however many endpoints it has. Pure.
#pragma once
#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>
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
  /// A source leads only if there is no other when its heads are older than `late`, or have stood still for `stalled`
  /// while another's moved. A view older than `stale` is not used.
  struct Ages {
    absl::Duration late, stale, stalled;
  };
  Vote(std::vector<Voter> voters, Quorum quorum, Ages ages);

  /// The heights that the next look at `endpoint` should ask for, beside its labels.
  std::vector<std::uint64_t> heights(const std::string& endpoint, absl::Time now) const;
  /// The result of a look: heads, and the hashes at the requested heights (missing ones are left out).
  void put(contract::HeadSnapshot s, const std::vector<std::uint64_t>& asked,
           const std::map<std::uint64_t, Hash32>& has);
  /// For an endpoint that was quarantined, cordoned or rejected.
  void drop(const std::string& endpoint) { views_.erase(endpoint); }

  /// What a subscriber with this confirmed finalized block should follow: the leader's snapshot with the labels of the
  /// vote. nullopt: no source may lead.
  std::optional<contract::HeadSnapshot> choose(absl::Time now,
                                               const std::optional<eth::BlockId>& confirmed_finalized = {}) const;
  /// Whether any source is heard, even if none may lead.
  bool anybody(absl::Time now) const { return !heard(now).empty(); }
  /// The endpoint's own heads at the last look.
  std::optional<contract::HeadSnapshot> of(const std::string& endpoint) const;
  /// Its head has stood still for `stalled` while another's moved.
  bool stalled(const std::string& endpoint) const;
  /// Headers of another EL verify.
  bool others_verify(const std::string& endpoint, absl::Time now) const;
  /// The endpoint's position relative to the others, for display.
  struct Standing {
    /// The endpoint is not on the majority's branch.
    bool dissents = false;
    std::string text;
  };
  Standing standing(const std::string& endpoint, absl::Time now) const;

 private:
  struct View {
    contract::HeadSnapshot heads;
    absl::btree_set<std::uint64_t> asked;
    /// Its labels and their parents, and its blocks at the requested heights.
    absl::btree_map<std::uint64_t, Hash32> chain;
    /// Its blocks up to its safe block at the previous look, where nothing newer is known. Otherwise two moving sources
    /// that are polled in turn would have no height in common.
    absl::btree_map<std::uint64_t, Hash32> before;
    /// Its highest unsafe head, and when that was first seen.
    std::uint64_t highest = 0;
    absl::Time moved;
    /// By source: the number of looks in a row at which their unsafe blocks differed.
    std::map<std::string, int> differed;

    /// It has another block at that height.
    bool contradicts(const eth::BlockId& b) const;
    /// They have a block in common.
    bool shares_block_with(const View& other) const;
    /// They have different blocks at some height from `low` to `high`.
    bool differs_from(const View& other, std::uint64_t low, std::uint64_t high) const;
  };
  struct Source {
    const Voter* voter;
    std::size_t order;
    const View* view;
  };
  /// A group's position on one label.
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
  /// Why a source leads only if there is no better one; the worst reason that applies.
  enum class Blemish { none, no_vote, apart, behind, stalled, late, replays, unconfirmed };
  /// Its head lags behind the majority's by more than the polling of sources in turn explains.
  bool behind(const Source& s, const std::vector<Source>& sources) const;
  Blemish blemish(const Source& s, const std::vector<Source>& sources, absl::Time now) const;
  /// Looks in a row at which they had different blocks. From kUnsettled on they are on two branches; below, replicas
  /// behind a load balancer may be at different heights.
  static int looks_apart(const Source& a, const Source& b);
  /// The number of groups voting on unsafe heads, its own included, that had no other block than `s` at the last looks.
  std::size_t agreeing(const Source& s, const std::vector<Source>& sources) const;
  /// Groups the sources, in the order of the list, by branch; the branch with most votes first.
  std::vector<std::vector<Source>> branches(const std::vector<Source>& sources) const;
  /// The highest block that a majority of several groups is known to have.
  std::optional<eth::BlockId> agreed(const std::vector<Source>& sources) const;
  /// Whether a majority of the configured groups has that block, under any label.
  bool most_have(const eth::BlockId& b, const std::vector<Source>& sources) const;
  std::size_t votes(const std::vector<Source>& branch, const std::vector<std::vector<Source>>& all) const;

  const std::vector<Voter> voters_;
  const Electorate electorate_;
  const Ages ages_;
  std::map<std::string, View> views_;
};

}  // namespace towline::fetcher
