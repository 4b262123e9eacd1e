// The published status of all tows, for the gRPC service and the status page.
//
// Owns: the subscribers; sets the last view and the decisions of each tow in `latest`. In: views and decisions from the
// tows, subscribers that join and leave. Out: all views to each subscriber, at each new view and once a second. Timers:
// that second.
#pragma once
#include <caf/typed_actor.hpp>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "libs/actor_kit/published.hpp"
#include "libs/actor_kit/subscribers.hpp"
#include "libs/actor_kit/terminator.hpp"
#include "services/sync-coordinator/core/readiness.hpp"

namespace towline::coordinator {

/// How an EL that is far behind gets to the source's head.
struct StartView {
  std::string mode;
  /// "import", "elsync" or "snapshot"; empty if the EL is not far behind.
  std::string way;
  std::string reason;
};
struct TowView {
  std::string driver;
  TowReadiness readiness;
  /// When the state in `readiness` was entered.
  absl::Time since;
  std::optional<contract::EngineState> local;
  std::optional<contract::HeadSnapshot> remote;
  std::optional<eth::BlockRef> target;
  std::optional<std::uint64_t> distance;
  /// When the source was last heard.
  absl::Time source_heard;
  std::optional<eth::BlockId> diverged_remote;
  std::uint64_t term = 0;
  StartView start = {};
};
using TowViewPtr = std::shared_ptr<const TowView>;
using DecisionsPtr = std::shared_ptr<const std::deque<Decision>>;

/// Keyed by the index of the tow.
struct SyncStatus {
  std::map<std::size_t, TowViewPtr> views;
  std::map<std::size_t, DecisionsPtr> decisions;
};
using StatusSubscriber = Subscriber<SyncStatus>;
using StatusSubscriberPtr = std::shared_ptr<const StatusSubscriber>;

using view_atom = caf::atom_constant<caf::atom("view")>;
using decide_atom = caf::atom_constant<caf::atom("decisions")>;
using tick_atom = caf::atom_constant<caf::atom("tick")>;
using status_hub_actor = caf::typed_actor<caf::reacts_to<view_atom, std::uint64_t, TowViewPtr>,
                                          caf::reacts_to<decide_atom, std::uint64_t, DecisionsPtr>,
                                          caf::reacts_to<join_atom, StatusSubscriberPtr>,
                                          caf::reacts_to<leave_atom, StatusSubscriberPtr>, caf::reacts_to<stop_atom>>;
using status_hub_impl = status_hub_actor::extend<caf::reacts_to<tick_atom>>;

struct status_hub_state {
  static inline const char* name = "status_hub";
  Subscribers<SyncStatus> subscribers;
};

/// `latest` must outlive the actor, which is its only writer.
status_hub_impl::behavior_type status_hub(status_hub_impl::stateful_pointer<status_hub_state> self,
                                          Published<SyncStatus>* latest);

}  // namespace towline::coordinator

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::coordinator::TowViewPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::coordinator::DecisionsPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::coordinator::StatusSubscriberPtr)
