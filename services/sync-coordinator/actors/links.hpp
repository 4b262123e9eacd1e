// The streams from other services. Each link opens its stream, forwards every message, and reopens a lost stream after
// a pause.
//
// driver_link, one per tow: the driver's state, to the tow and to its head_link. head_link, one per tow: the remote
// heads as seen from the tow's confirmed finalized block, and the heads of the other sources while the head stands
// still. gossip_link, one for all tows: blocks from the p2p network. Owns: the state of its stream. Timers: the pause.
// A lost stream is reported to the tow. After `stop` no stream is opened again; the actors end with the service.
#pragma once
#include <caf/typed_actor.hpp>
#include <vector>

#include "services/sync-coordinator/actors/tow.hpp"

namespace towline::coordinator {

/// Carries the number of its stream, so that messages of an earlier stream are ignored.
using ended_atom = caf::atom_constant<caf::atom("ended")>;
using open_atom = caf::atom_constant<caf::atom("open")>;

using StatusPtr = std::shared_ptr<const absl::Status>;

using link_actor = caf::typed_actor<caf::reacts_to<stop_atom>>;
using head_link_actor = link_actor::extend<caf::reacts_to<local_atom, StatePtr>>;

using driver_link_impl = link_actor::extend<caf::reacts_to<open_atom>, caf::reacts_to<ended_atom, StatusPtr>>;
using gossip_link_impl = link_actor::extend<caf::reacts_to<open_atom>, caf::reacts_to<gossip_atom, BlockPtr>,
                                            caf::reacts_to<ended_atom, StatusPtr>>;
using head_link_impl =
    head_link_actor::extend<caf::reacts_to<open_atom>, caf::reacts_to<remote_atom, std::uint64_t, SnapshotPtr>,
                            caf::reacts_to<remote_atom, std::uint64_t, TroublePtr>,
                            caf::reacts_to<ended_atom, std::uint64_t, StatusPtr>>;

struct driver_link_state {
  static inline const char* name = "driver_link";
  driver_link_state() {}  // see REVIEW.md: CAF makes an aggregate of the actor's address
  bool stopped = false;
};
driver_link_impl::behavior_type driver_link(driver_link_impl::stateful_pointer<driver_link_state> self,
                                            std::string driver_name, DriverClient* driver, tow_actor tow,
                                            head_link_actor heads);

class head_link_state {
 public:
  static inline const char* name = "head_link";
  explicit head_link_state(head_link_impl::pointer self) : self_{self} {}
  /// `head_age`: how long the head may stand still.
  head_link_impl::behavior_type make_behavior(FetcherClient* fetcher, tow_actor tow, absl::Duration head_age);

 private:
  void open();
  void on_snapshot(const SnapshotPtr& s);
  void on_end(const absl::Status& why);
  void lost(const contract::SourceTrouble& t);

  head_link_impl::pointer self_;
  FetcherClient* fetcher_ = nullptr;
  std::optional<tow_actor> tow_;
  absl::Duration head_age_;
  std::optional<eth::BlockId> final_block_, opened_with_;
  std::function<void()> close_;
  std::uint64_t stream_ = 0;
  bool spoke_ = false, stopped_ = false;
  std::optional<Hash32> head_;
  absl::Time look_ = absl::InfinitePast();
};
head_link_impl::behavior_type head_link(head_link_impl::stateful_pointer<head_link_state> self, FetcherClient* fetcher,
                                        tow_actor tow, absl::Duration head_age);

struct gossip_link_state {
  static inline const char* name = "gossip_link";
  gossip_link_state() {}
  bool stopped = false;
  /// The loss was logged; reset by the next message.
  bool said = false;
};
/// `connected`: one gauge per tow, 1 while blocks are streamed.
gossip_link_impl::behavior_type gossip_link(gossip_link_impl::stateful_pointer<gossip_link_state> self,
                                            GossipClient* gossip, std::vector<tow_actor> tows,
                                            std::vector<Metrics::Gauge> connected);

}  // namespace towline::coordinator

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::coordinator::StatusPtr)
