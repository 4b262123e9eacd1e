// The last heads of every endpoint, the vote on them for each subscriber, and whether this program lacks a rule. A
// value: its owner hands out copies. Pure.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "services/remote-fetcher/core/chain_clock.hpp"
#include "services/remote-fetcher/core/vote.hpp"

namespace towline::fetcher {

class HeadBoard {
 public:
  HeadBoard(Vote vote, ChainClock clock) : vote_{std::move(vote)}, clock_{std::move(clock)} {}

  /// The heights for the next look at `endpoint`: those that the vote needs, and the subscribers' confirmed finalized
  /// blocks.
  std::vector<std::uint64_t> heights(const std::string& endpoint, absl::Time now) const;
  /// See ChainClock::heard().
  void heard(const std::string& endpoint, absl::Time head, absl::Time now) { clock_.heard(endpoint, head, now); }
  /// The time that no block may be far ahead of: the latest of our clock, the present wall clock (`wall`, which may
  /// have been corrected since the start), and the chain's time.
  absl::Time chain_now(absl::Time now, absl::Time wall) const { return std::max({now, wall, clock_.at_least(now)}); }
  /// See Vote::put().
  void put(contract::HeadSnapshot s, const std::vector<std::uint64_t>& asked,
           const std::map<std::uint64_t, Hash32>& has) {
    vote_.put(std::move(s), asked, has);
  }
  void drop(const std::string& endpoint) { vote_.drop(endpoint); }
  /// Headers of another EL verify. Then an endpoint whose headers do not is at fault; otherwise this program may lack a
  /// rule.
  bool others_verify(const std::string& endpoint, absl::Time now) const { return vote_.others_verify(endpoint, now); }

  std::optional<contract::HeadSnapshot> of(const std::string& endpoint) const { return vote_.of(endpoint); }
  bool stalled(const std::string& endpoint) const { return vote_.stalled(endpoint); }
  bool anybody(absl::Time now) const { return vote_.anybody(now); }
  Vote::Standing standing(const std::string& endpoint, absl::Time now) const { return vote_.standing(endpoint, now); }
  /// For a subscriber whose confirmed finalized block is `confirmed_finalized`.
  std::optional<contract::HeadSnapshot> choose(absl::Time now,
                                               const std::optional<eth::BlockId>& confirmed_finalized = {}) const;

  /// A check that every source fails. Forgotten after a minute, so that a block that is no longer requested raises no
  /// alarm.
  void set_unknown_rules(std::string what, absl::Time now);
  /// A block verified, so no rule is missing. Returns true if one seemed to be.
  bool clear_unknown_rules();
  /// Empty if none.
  std::string unknown_rules(absl::Time now) const;

  /// While a subscriber watches, sources are compared at its confirmed finalized block.
  void watch(std::uint64_t subscriber, const eth::BlockId& confirmed_finalized) {
    confirmed_finalized_[subscriber] = confirmed_finalized;
  }
  void unwatch(std::uint64_t subscriber) { confirmed_finalized_.erase(subscriber); }

 private:
  Vote vote_;
  ChainClock clock_;
  std::string unknown_rules_;
  absl::Time unknown_rules_until_ = absl::InfinitePast();
  std::map<std::uint64_t, eth::BlockId> confirmed_finalized_;
};

}  // namespace towline::fetcher
