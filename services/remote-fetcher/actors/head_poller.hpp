// One actor an endpoint, in its own thread: probes it, then asks for its heads each interval. A hung endpoint holds up
// its own poller only, and has one head request outstanding at most.
//
// In: ticks from itself. Out: the head board, the pool's endpoint state. If the endpoint dies its view is dropped and
// it is asked on.
#pragma once
#include <caf/typed_actor.hpp>

#include "libs/rollup/config.hpp"
#include "services/remote-fetcher/actors/head_board.hpp"
#include "services/remote-fetcher/actors/pool.hpp"

namespace towline::fetcher {

using poll_atom = caf::atom_constant<caf::atom("poll")>;
using head_poller_actor = caf::typed_actor<caf::reacts_to<poll_atom>>;

struct PollerConfig {
  std::size_t index;
  absl::Duration interval;
  const rollup::Config* rollup;
  Pool* pool;
  HeadBoard* board;
  Metrics* metrics;
};

class HeadPollerState {
 public:
  static inline const char* name = "head_poller";
  explicit HeadPollerState(head_poller_actor::pointer self) : self_{self} {}
  head_poller_actor::behavior_type make_behavior(PollerConfig config);

 private:
  void poll();
  /// OK once it is known what the endpoint is and that it serves this chain.
  absl::Status probe();
  absl::Status check_genesis_of_el();
  absl::Status check_genesis_of_cl();
  /// OK when a probe was not due, or went well.
  absl::Status identify();
  absl::StatusOr<HeadSnapshot> snapshot(AnchorView& anchor);
  absl::StatusOr<HeadSnapshot> snapshot_one_by_one();
  /// One call, not in a batch: some endpoints take none.
  absl::StatusOr<Reply> ask(const jsonrpc::Call& call);
  void show(const HeadSnapshot& s);
  void show_state();
  head_poller_actor::pointer self_;
  PollerConfig config_{};
};

head_poller_actor::behavior_type head_poller(head_poller_actor::stateful_pointer<HeadPollerState> self,
                                             PollerConfig config);

}  // namespace towline::fetcher
