// The remote RPCs, each a trust group of its own, and remote-fetcher's part in one process: polls of their heads, the
// real vote, and payloads that any of them serves. Most sources show the sequencer's chain, some of them late; the
// others lie in every way that the code can meet.
#pragma once
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <random>
#include <string>
#include <vector>

#include "libs/rollup/config.hpp"
#include "services/remote-fetcher/core/chain_clock.hpp"
#include "services/remote-fetcher/core/endpoint.hpp"
#include "services/remote-fetcher/core/vote.hpp"
#include "tests/simulation/sequencer.hpp"

namespace towline::simulation {

class Remotes {
 public:
  struct Shows {
    bool local_safe = true, unsafe = true;
  };
  Remotes(std::mt19937_64& random, Sequencer& sequencer, Shows shows);

  std::size_t size() const { return remotes_.size(); }
  std::size_t lying() const { return lying_; }
  /// Changes something at one source; returns a description for a person.
  std::string chaos();
  /// Lets one source show the chain this many blocks late.
  void set_delay(std::uint64_t blocks);
  /// Restarts remote-fetcher, maybe with a late clock: it has no memory.
  void restart();
  /// Ends the faults of honest sources. Lying sources lie on.
  void heal();

  /// Polls all sources that are due.
  void look(const std::optional<eth::BlockId>& confirmed_finalized, absl::Time now);
  /// The snapshot of WatchHeads.
  std::optional<contract::HeadSnapshot> heads(const std::optional<eth::BlockId>& confirmed_finalized,
                                              absl::Time now) const;
  /// The answer of GetHeaders.
  absl::StatusOr<std::vector<eth::BlockRef>> headers(const std::vector<std::uint64_t>& numbers,
                                                     const std::string& endpoint, absl::Time now);
  /// The blocks of StreamPayloads: after `parent` up to `tip`.
  absl::StatusOr<std::vector<eth::BlockRef>> range(const eth::BlockId& parent, const eth::BlockId& tip, absl::Time now);
  /// Whether a source serves blocks.
  bool anybody(absl::Time now) const;
  /// The first broken rule about sources: an honest source is taken for a lying one, or not used for long.
  const std::string& broken() const { return broken_; }
  /// Whether an honest source showed at its last poll another block than `ours` at that height.
  bool honest_contradicts(const eth::BlockId& ours) const;
  const eth::BlockRef& honest_head() const;
  const rollup::Config& chain() const { return chain_; }
  std::string text() const;

 private:
  /// How a lying source lies at the moment.
  struct Lie {
    bool branch = false;       // has blocks of its own
    bool invalid = false;      // the EL calls one of them INVALID
    bool behind_true = false;  // shows the true chain when it is asked for a height
    enum class Head { own, phantom, frozen, old, future } head = Head::own;
    enum class Labels { as_they_are, head, random, none } labels = Labels::as_they_are;
    bool garbage = false;    // shows blocks of nobody at heights
    bool withholds = false;  // no payloads
    bool corrupts = false;   // payloads that do not verify
    bool flips = false;      // another lie at each poll
  };
  struct Remote {
    Remote(const std::string& n, bool is_honest, fetcher::Jitter jitter)
        : name{n}, honest{is_honest}, endpoint{n, {}, std::move(jitter)} {}
    std::string name;
    bool honest;
    contract::EndpointKind kind = contract::EndpointKind::el;
    fetcher::Endpoint endpoint;
    bool up = true, lagging = false, replaying = false;
    std::uint64_t delay = 0;
    Lie lie;
    /// Its own blocks, which stand on the sequencer's chain.
    std::vector<eth::BlockRef> own;
    std::optional<contract::HeadSnapshot> shown, first;
    absl::Time quarantined_since = absl::InfiniteFuture();
  };

  const eth::BlockRef& head_of(const Remote& r) const;
  std::optional<eth::BlockRef> at(const Remote& r, std::uint64_t number) const;
  /// The source's block at a height when sources are compared.
  std::optional<Hash32> compared(const Remote& r, std::uint64_t number);
  bool serves(const Remote& r, absl::Time now) const;
  Lie draw_lie();
  void grow_branch(Remote& r);
  contract::HeadSnapshot honest_look(const Remote& r) const;
  contract::HeadSnapshot lying_look(Remote& r);
  std::vector<std::size_t> servers(absl::Time now) const;
  absl::StatusOr<std::vector<eth::BlockRef>> prove(const eth::BlockId& parent, const eth::BlockId& tip, absl::Time now);
  absl::StatusOr<eth::BlockId> agreed(std::uint64_t number, absl::Time now);
  void report_bad_data(Remote& r, const std::string& why, absl::Time now);

  std::mt19937_64& random_;
  Sequencer& sequencer_;
  const Shows shows_;
  std::size_t lying_ = 0;
  std::vector<Remote> remotes_;  // best first
  std::vector<fetcher::Voter> voters_;
  std::optional<fetcher::Vote> vote_;
  std::optional<fetcher::ChainClock> clock_;
  /// How late remote-fetcher's clock is.
  absl::Duration late_ = absl::ZeroDuration();
  rollup::Config chain_;
  std::string broken_;
};

}  // namespace towline::simulation
