// What engine-driver knows of its EL: what looks at it show, and what its own commands change. Looks say whether the
// EL can be used, whether it was restarted, and whether somebody else drives it. Pure.
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
  /// It was lost, or was never met: chain, genesis, capabilities and version come first.
  bool identify = true;
  /// Our own state could not be saved: try the disk first.
  bool try_disk = false;
  /// The block whose height is to be compared, always or where the head went below `head`.
  std::optional<eth::BlockId> confirmed_finalized;
  bool compare = false;
  std::optional<std::uint64_t> head;
  /// Whether eth_syncing and net_peerCount are asked.
  bool syncing = false;
  bool peers = false;
  /// How many writes were begun or ended before the look, and the status then: what a command finds out during the
  /// look stays.
  std::uint64_t writes = 0;
  contract::EngineStatus status = contract::EngineStatus::starting;
};

/// What a look at the EL has shown.
struct Look {
  LookPlan plan;
  /// Why the EL cannot be used; what follows is valid where the look came so far.
  std::optional<std::pair<contract::EngineStatus, absl::Status>> failure;
  std::optional<contract::Labels> labels;
  std::string client_version;
  /// Engine API methods that it lists; empty: it does not say.
  std::vector<std::string> capabilities;
  /// nullopt: not asked, or no answer.
  std::optional<ElSyncing> syncing;
  std::optional<std::uint32_t> peers;
};

class EngineView {
 public:
  explicit EngineView(contract::EngineState first, absl::Time now) : state_{std::move(first)}, commanded_{now} {}

  const contract::EngineState& state() const { return state_; }
  /// When the last command was admitted, or the start.
  absl::Time commanded() const { return commanded_; }

  LookPlan plan() const;
  /// What is new, for the log: nothing, or that the EL cannot be used, or that it is there.
  enum class News { none, lost, met };
  News on_look(const Look& look, absl::Time now);

  void on(const StateChange& change) { apply(change, state_); }
  void on(const Commanded&, absl::Time now) { commanded_ = now; }
  void on(const HeadMoves& m);
  void on(const std::vector<contract::Replica>& replicas) { state_.replicas = replicas; }

 private:
  void note_sync(const Look& look);
  News fail(contract::EngineStatus status, const absl::Status& why);

  contract::EngineState state_;
  absl::Time commanded_;
  std::uint64_t writes_ = 0;
  std::optional<Hash32> commanded_head_;
  ForeignHead foreign_;
  std::string syncing_told_;
  std::uint64_t looks_ = 0;
  bool identified_ = false;
  bool lost_ = false;
};

}  // namespace towline::driver
