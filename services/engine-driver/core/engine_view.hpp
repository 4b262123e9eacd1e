// What engine-driver knows about its EL: the results of looks at it, and the effects of its own commands. Looks tell
// whether the EL can be used, whether it was restarted, and whether another client drives it. Pure.
#pragma once
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libs/contract/engine.hpp"
#include "services/engine-driver/core/effects.hpp"
#include "services/engine-driver/core/el_syncing.hpp"
#include "services/engine-driver/core/foreign_head.hpp"

namespace towline::driver {

/// What the next look has to find out.
struct LookPlan {
  /// The EL was lost, or never met: identify it first (chain, genesis, capabilities, version).
  bool identify = true;
  /// Our own state could not be saved: try the disk first.
  bool try_disk = false;
  /// The block to compare with the EL's: always if `compare`, else only if the EL's head is below `head`.
  std::optional<eth::BlockId> confirmed_finalized;
  bool compare = false;
  std::optional<std::uint64_t> head;
  /// Whether to ask eth_syncing and net_peerCount.
  bool syncing = false;
  bool peers = false;
  /// The number of writes begun or ended before the look, and the status at that time: what a command finds out during
  /// the look takes precedence.
  std::uint64_t writes = 0;
  contract::EngineStatus status = contract::EngineStatus::starting;
  /// When the next look is due, from the begin of this one.
  absl::Duration next_in;
};

/// The result of a look at the EL.
struct Look {
  LookPlan plan;
  absl::Time began = {};
  /// Why the EL cannot be used; the other fields are valid as far as the look got.
  std::optional<std::pair<contract::EngineStatus, absl::Status>> failure;
  std::optional<contract::Labels> labels;
  std::string client_version;
  /// The Engine API methods that the EL lists; empty if it lists none, or was not asked.
  std::vector<std::string> capabilities;
  /// nullopt: not asked, or no answer.
  std::optional<ElSyncing> syncing;
  std::optional<std::uint32_t> peers;
};

class EngineView {
 public:
  explicit EngineView(contract::EngineState first, absl::Time now)
      : state_{std::move(first)}, commanded_{now}, imported_{now} {}

  const contract::EngineState& state() const { return state_; }
  /// When the last command was admitted; before the first one, when this process started.
  absl::Time commanded() const { return commanded_; }

  LookPlan plan() const;
  /// Looks come each 500 ms, in such a rhythm that one of them falls shortly before the next block: blocks come a
  /// multiple of 500 ms after each other on most chains, and a command that finds a fresh look needs none of its own.
  absl::Duration next_look(absl::Time now) const;
  /// A write began or ended during the look, and knows better where the head is.
  bool overtaken(const Look& look) const { return writes_ != look.plan.writes; }
  /// What the log should say: nothing new, the EL became unusable, or the EL is there.
  enum class News { none, lost, met };
  News on_look(const Look& look, absl::Time now);

  void on(const StateChange& change) { apply(change, state_); }
  void on(const Commanded&, absl::Time now, bool import) {
    commanded_ = now;
    if (import) imported_ = now;
  }
  void on(const HeadMoves& m);
  void on(const std::vector<contract::Replica>& replicas) { state_.replicas = replicas; }

 private:
  void note_sync(const Look& look);
  News fail(contract::EngineStatus status, const absl::Status& why);

  contract::EngineState state_;
  absl::Time commanded_, imported_;
  std::uint64_t writes_ = 0;
  std::optional<Hash32> commanded_head_;
  ForeignHead foreign_;
  std::string syncing_told_;
  std::uint64_t looks_ = 0;
  bool identified_ = false;
  bool lost_ = false;
};

}  // namespace towline::driver
