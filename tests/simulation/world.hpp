// A whole tow in one process: the vote of remote-fetcher, the coordinator's follower, the driver's sessions
// (driver.hpp), simulated sources of which some lie, a simulated p2p network and a simulated EL. All events are drawn
// from one seed. The invariants are checked after every step.
#pragma once
#include <absl/container/flat_hash_set.h>
#include <absl/time/time.h>

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "libs/contract/command.hpp"
#include "services/sync-coordinator/core/follower.hpp"
#include "tests/simulation/driver.hpp"
#include "tests/simulation/remotes.hpp"
#include "tests/simulation/sequencer.hpp"

namespace towline::simulation {

/// The signed blocks on their way, and p2p-gossip's cache of those that arrived.
class GossipNetwork {
 public:
  void publish(const eth::BlockRef& block, absl::Time arrives) { in_flight_.emplace(arrives, block); }
  /// The blocks that arrive by `now`; they go into the cache. Without peers of p2p-gossip they are lost.
  std::vector<eth::BlockRef> arrived(absl::Time now, bool peers);
  /// The blocks that a new watcher gets: the whole cache.
  const std::deque<eth::BlockRef>& cache() const { return cache_; }
  void restart() { cache_.clear(); }
  /// The blocks after `parent` up to `tip`; empty: not all of them are in the cache.
  std::vector<eth::BlockRef> chain(const eth::BlockId& parent, const eth::BlockId& tip) const;

 private:
  /// Few, so that blocks are evicted before they are asked for.
  static constexpr std::size_t kCache = 24;
  std::deque<eth::BlockRef>::const_iterator find(const Hash32& hash) const;
  std::multimap<absl::Time, eth::BlockRef> in_flight_;
  std::deque<eth::BlockRef> cache_;  // oldest first
};

struct Schedule {
  std::uint64_t seed = 1;
  int steps = 150;
};

class World {
 public:
  explicit World(const Schedule& schedule);
  /// The first broken invariant, with the events before it; empty: all held and the tow converged.
  std::string run();

 private:
  void chaos();
  void chaos_of_the_network();
  /// Sends the blocks of `branch` from index `from` on over the p2p network.
  void publish(const std::vector<eth::BlockRef>& branch, std::size_t from);
  void grow(std::uint64_t blocks);
  /// Moves the clock with the chain.
  void keep_time();
  void deliver(const eth::BlockRef& block);
  void deliver_cache();
  void step();
  void carry_out(std::optional<coordinator::Effect> effect);
  void run_pending();
  /// The driver's view of the world.
  Driver::Around around();
  absl::StatusOr<std::vector<eth::BlockRef>> payloads(const eth::BlockId& parent, const eth::BlockId& tip,
                                                      contract::PayloadOrigin origin);
  void check_applied(const contract::Forkchoice& f, const eth::BlockRef& before);
  void finish(std::uint64_t id, absl::StatusOr<contract::CommandResult> r);
  const sim::ElModel& el() const { return driver_.el(); }
  void check();
  void check_import(const coordinator::Import& i);
  void broken(const std::string& what);
  void note(const std::string& what);
  /// The head that the tow must reach when the faults have stopped.
  const eth::BlockRef& wanted_head() const;
  bool converged() const;
  void start_follower();
  bool gossip() const { return mode_ == Mode::gossip || mode_ == Mode::both; }

  enum class Mode { both, gossip, remote, none };
  std::mt19937_64 random_;
  const int steps_;
  const Mode mode_;
  const Remotes::Shows shows_;
  /// Moves with the chain, which has a block each second.
  absl::Time now_;
  /// How far the sequencer's clock is ahead of ours.
  absl::Duration sequencer_ahead_ = absl::ZeroDuration();
  Sequencer sequencer_;
  Remotes remotes_;
  GossipNetwork network_;
  bool can_rewind_;
  bool rewind_for_single_source_;
  const driver::MinAge::Ages ages_;
  Driver driver_;
  std::optional<coordinator::Follower> follower_;
  std::optional<coordinator::Effect> pending_;
  /// The driver's current command, and the range of gossip that was missing when it was asked for.
  std::optional<std::uint64_t> commanded_;
  std::optional<std::pair<Hash32, Hash32>> missing_;
  bool driver_up_ = true;
  bool peers_ = true;
  bool gossip_up_ = true;
  bool quiet_ = false;
  // For the invariants.
  /// The input of this follower: the last snapshot, also if the sources are gone meanwhile, and gossip.
  std::optional<contract::HeadSnapshot> shown_;
  absl::flat_hash_set<Hash32> delivered_;
  /// Ranges of gossip that were missing when they were asked for, since the last delivery.
  absl::flat_hash_set<std::pair<Hash32, Hash32>> not_found_;
  /// Switches of branches that only unsafe heads ask for: when the current one was asked for, and when the last one
  /// was.
  std::optional<absl::Time> switching_;
  absl::Time last_switch_ = absl::InfinitePast();
  std::string broken_;
  std::vector<std::string> history_;
};

}  // namespace towline::simulation
