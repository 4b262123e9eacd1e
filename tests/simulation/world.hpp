// A whole tow without a wire: the vote of remote-fetcher, the coordinator's machine, the driver's sessions
// (driver.hpp), simulated sources of which some lie, a simulated p2p network and a simulated EL. Everything that
// happens is drawn from one seed. After every step the invariants are checked.
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
  /// What has arrived by `now`, put into the cache; lost if p2p-gossip has no peers.
  std::vector<eth::BlockRef> arrived(absl::Time now, bool peers);
  /// What a new watcher is told: all that is in the cache.
  const std::deque<eth::BlockRef>& cache() const { return cache_; }
  void restart() { cache_.clear(); }
  /// The blocks behind `parent` up to `tip`; empty: not all of them are in the cache.
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
  /// The first invariant that broke, with what happened before; empty when all held and the tow converged.
  std::string run();

 private:
  void chaos();
  void chaos_of_the_network();
  /// Blocks of the sequencer, `branch` from its index `from` on, set out to reach us.
  void publish(const std::vector<eth::BlockRef>& branch, std::size_t from);
  void grow(std::uint64_t blocks);
  /// The clock goes with the chain.
  void keep_time();
  void deliver(const eth::BlockRef& block);
  void deliver_cache();
  void step();
  void carry_out(std::optional<coordinator::Effect> effect);
  void run_pending();
  /// What the driver has of the world.
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
  /// Where the tow must end when things are quiet.
  const eth::BlockRef& wanted_head() const;
  bool converged() const;
  void start_follower();
  bool gossip() const { return mode_ == Mode::gossip || mode_ == Mode::both; }

  enum class Mode { both, gossip, remote, none };
  std::mt19937_64 random_;
  const int steps_;
  const Mode mode_;
  const Remotes::Shows shows_;
  /// A block a second, so that the clock goes with the chain.
  absl::Time now_;
  /// How far the sequencer's clock goes before ours.
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
  /// The command that the driver has in hand, and the range of gossip that was not there when it asked for it.
  std::optional<std::uint64_t> commanded_;
  std::optional<std::pair<Hash32, Hash32>> missing_;
  bool driver_up_ = true;
  bool peers_ = true;
  bool gossip_up_ = true;
  bool quiet_ = false;
  // For the invariants.
  /// What this follower was told: the last snapshot, also when the sources are gone by now, and gossip.
  std::optional<contract::HeadSnapshot> shown_;
  absl::flat_hash_set<Hash32> delivered_;
  /// Ranges of gossip that were not there when they were asked for; nothing was delivered since.
  absl::flat_hash_set<std::pair<Hash32, Hash32>> not_found_;
  /// Changes of branches on the word of unsafe heads alone: when the one in flight was asked for, and the last one.
  std::optional<absl::Time> switching_;
  absl::Time last_switch_ = absl::InfinitePast();
  std::string broken_;
  std::vector<std::string> history_;
};

}  // namespace towline::simulation
