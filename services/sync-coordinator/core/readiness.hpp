// The one rule for what is said of a tow: its state, the reason, and whether it is ready. /readyz, the gRPC health
// check, the metrics, `towline status` and `status --check` all say what readiness_of() says. Pure.
//
// The follower's own state is what it decided last, and it decides only when something happens. AT_TIP means more:
// head, safe and finalized follow a source that moves. So what does not happen counts here, too.
#pragma once
#include "services/sync-coordinator/core/follower.hpp"

namespace towline::coordinator {

struct Limits {
  /// Most blocks behind.
  std::uint64_t blocks = 5;
  /// How long the source may be silent or its head stand still.
  absl::Duration head_age = absl::Seconds(30);
  /// How long safe and finalized may stand still. A batcher of a small chain waits up to 5 h, and after 12 h (the
  /// sequencing window) the chain makes safe blocks without one.
  absl::Duration safe_age = absl::Hours(6);
};

/// What is known of a tow. Times are InfinitePast for what never happened.
struct Facts {
  /// The follower's own.
  TowState state = TowState::starting;
  Code code = ReasonCode::starting;
  std::string reason;
  std::optional<std::uint64_t> distance;

  /// nullopt: engine-driver was not heard of, or was lost.
  std::optional<contract::EngineStatus> engine;
  std::string engine_reason;
  absl::Time driver_heard = absl::InfinitePast();
  /// The EL shows safe and finalized; the source does.
  bool labels_set = false;
  bool source_labels_set = false;
  /// When the EL's labels changed last.
  absl::Time safe_moved = absl::InfinitePast();
  absl::Time finalized_moved = absl::InfinitePast();
  /// Since when the source's labels on our chain are above the EL's, which do not move; InfiniteFuture: they are not.
  absl::Time labels_wait = absl::InfiniteFuture();

  /// The head of the source that is followed, and when it changed last; nullopt: there is no source.
  std::optional<std::uint64_t> source_head;
  absl::Time source_heard = absl::InfinitePast();
  absl::Time source_moved = absl::InfinitePast();
  /// The highest block that the p2p network or another source has shown.
  std::uint64_t highest_elsewhere = 0;
  /// Sources that show the followed one's head.
  int sources_at_head = 0;
  /// Why the vote of the sources holds safe or finalized.
  contract::Hold hold = contract::Hold::none;
  /// Whether p2p-gossip speaks; nullopt: it is not asked.
  std::optional<bool> gossip;
};

struct TowReadiness {
  TowState state = TowState::starting;
  Code code = ReasonCode::starting;
  std::string reason;
  bool ready = false;
};

/// What the EL's status alone says; nullopt: it can be worked with.
std::optional<TowReadiness> engine_trouble(contract::EngineStatus status, const std::string& reason);

TowReadiness readiness_of(const Facts& f, const Limits& limits, absl::Time now);

/// Keeps the facts up to date from what arrives.
class Witness {
 public:
  /// `gossip`: p2p-gossip is asked for blocks.
  explicit Witness(bool gossip) {
    if (gossip) facts_.gossip = false;
  }
  /// What another source shows as its head.
  struct OtherHead {
    std::uint64_t number;
    Hash32 hash;
  };

  void on_local(const contract::EngineState& s, absl::Time now);
  void on_remote(const contract::HeadSnapshot& s, absl::Time now);
  void on_sources(const std::vector<OtherHead>& heads);
  void on_gossip(const std::optional<eth::BlockRef>& block);
  void on_gossip_lost() { facts_.gossip = false; }
  /// With what the follower says now.
  Facts facts(const Follower& f, absl::Time now);

 private:
  Facts facts_;
  std::optional<Hash32> source_head_, safe_, finalized_;
  absl::Time observed_ = absl::InfinitePast();
  std::vector<OtherHead> sources_;
  std::uint64_t gossip_highest_ = 0;
};

}  // namespace towline::coordinator
