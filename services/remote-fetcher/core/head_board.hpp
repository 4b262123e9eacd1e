// What every endpoint said last, what the vote makes of it for each subscriber, and whether we miss a rule. A value:
// who owns it hands out copies. Pure.
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

  /// What the next look at `endpoint` compares: what the vote needs, and the confirmed finalized blocks of subscribers.
  std::vector<std::uint64_t> heights(const std::string& endpoint, absl::Time now) const;
  /// As ChainClock::heard() has it.
  void heard(const std::string& endpoint, absl::Time head, absl::Time now) { clock_.heard(endpoint, head, now); }
  /// What a block may not be far ahead of: our time, that of a clock that was set right since the start (`wall`), or
  /// the chain's where most say that both are late.
  absl::Time chain_now(absl::Time now, absl::Time wall) const { return std::max({now, wall, clock_.at_least(now)}); }
  /// As Vote::put() has it.
  void put(contract::HeadSnapshot s, const std::vector<std::uint64_t>& asked,
           const std::map<std::uint64_t, Hash32>& has) {
    vote_.put(std::move(s), asked, has);
  }
  void drop(const std::string& endpoint) { vote_.drop(endpoint); }
  /// Another EL's headers verify: an endpoint whose do not is at fault; else it may be we who miss a rule.
  bool others_verify(const std::string& endpoint, absl::Time now) const { return vote_.others_verify(endpoint, now); }

  std::optional<contract::HeadSnapshot> of(const std::string& endpoint) const { return vote_.of(endpoint); }
  bool stalled(const std::string& endpoint) const { return vote_.stalled(endpoint); }
  bool anybody(absl::Time now) const { return vote_.anybody(now); }
  Vote::Standing standing(const std::string& endpoint, absl::Time now) const { return vote_.standing(endpoint, now); }
  /// For a subscriber that holds `confirmed_finalized` as final.
  std::optional<contract::HeadSnapshot> choose(absl::Time now,
                                               const std::optional<eth::BlockId>& confirmed_finalized = {}) const;

  /// A check that every source fails. It is forgotten after a while, so that a block that is not asked for again alarms
  /// nobody.
  void set_unknown_rules(std::string what, absl::Time now);
  /// A block verifies: whatever was said before. True: that is news.
  bool clear_unknown_rules();
  /// Empty: none.
  std::string unknown_rules(absl::Time now) const;

  /// Sources are compared at a subscriber's confirmed finalized block while it watches.
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
