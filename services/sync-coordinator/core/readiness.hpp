// The single rule for what is reported about a tow: its state, the reason, and whether it is ready. /readyz, the gRPC
// health check, the metrics, `towline status` and `status --check` all report readiness_of(). Pure.
//
// The follower's state is its last decision, and it decides only on events. AT_TIP promises more: head, safe and
// finalized follow a source that moves. So the absence of events counts here as well.
#pragma once
#include "services/sync-coordinator/core/follower.hpp"

namespace towline::coordinator {

struct Limits {
  /// Largest distance to the target, in blocks, at which a tow is ready.
  std::uint64_t blocks = 5;
  /// How long the source may be silent, or its head may stand still.
  absl::Duration head_age = absl::Seconds(30);
  /// How long safe and finalized may stand still. The batcher of a small chain may wait up to 5 h. After 12 h (the
  /// sequencing window) the chain derives safe blocks without a batcher.
  absl::Duration safe_age = absl::Hours(6);
};

/// What is known about a tow. A time is InfinitePast if the event never happened.
struct Facts {
  /// State, code, reason and distance are the follower's own.
  TowState state = TowState::starting;
  Code code = ReasonCode::starting;
  std::string reason;
  std::optional<std::uint64_t> distance;

  /// nullopt: engine-driver was not reached yet, or was lost.
  std::optional<contract::EngineStatus> engine;
  std::string engine_reason;
  absl::Time driver_heard = absl::InfinitePast();
  /// Whether the EL, and the source, show both safe and finalized.
  bool labels_set = false;
  bool source_labels_set = false;
  /// When the EL's labels last changed.
  absl::Time safe_moved = absl::InfinitePast();
  absl::Time finalized_moved = absl::InfinitePast();
  /// Since when the source's labels on our chain have been above the EL's, and the EL's have not moved; InfiniteFuture
  /// if they are not above.
  absl::Time labels_wait = absl::InfiniteFuture();

  /// The head of the followed source, and when it last changed; nullopt: no source, or a source without a head.
  std::optional<std::uint64_t> source_head;
  absl::Time source_heard = absl::InfinitePast();
  absl::Time source_moved = absl::InfinitePast();
  /// The highest block that the p2p network or another source showed.
  std::uint64_t highest_elsewhere = 0;
  /// Number of sources whose head is that of the followed source.
  int sources_at_head = 0;
  /// Why the vote of the sources holds safe or finalized.
  contract::Hold hold = contract::Hold::none;
  /// Whether p2p-gossip is connected; nullopt: p2p-gossip is not used.
  std::optional<bool> gossip;
};

struct TowReadiness {
  TowState state = TowState::starting;
  Code code = ReasonCode::starting;
  std::string reason;
  bool ready = false;
};

/// What the EL's status alone implies; nullopt: the EL can be worked with.
std::optional<TowReadiness> engine_trouble(contract::EngineStatus status, const std::string& reason);

TowReadiness readiness_of(const Facts& f, const Limits& limits, absl::Time now);

/// Collects the facts from incoming events.
class Witness {
 public:
  /// `gossip`: p2p-gossip is used.
  explicit Witness(bool gossip) {
    if (gossip) facts_.gossip = false;
  }
  /// The head of any source.
  struct OtherHead {
    std::uint64_t number;
    Hash32 hash;
  };

  void on_local(const contract::EngineState& s, absl::Time now);
  void on_remote(const contract::HeadSnapshot& s, absl::Time now);
  void on_sources(const std::vector<OtherHead>& heads);
  void on_gossip(const std::optional<eth::BlockRef>& block);
  void on_gossip_lost() { facts_.gossip = false; }
  /// The facts, with the follower's present state.
  Facts facts(const Follower& f, absl::Time now);

 private:
  Facts facts_;
  std::optional<Hash32> source_head_, safe_, finalized_;
  absl::Time observed_ = absl::InfinitePast();
  std::vector<OtherHead> sources_;
  std::uint64_t gossip_highest_ = 0;
};

}  // namespace towline::coordinator
