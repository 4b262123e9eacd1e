// One actor an endpoint, in its own thread: probes it, then asks for its heads each interval. A hung endpoint holds up
// its own poller only, and has one head request outstanding at most.
//
// In: ticks from itself, and news of heads where the endpoint tells of them. Out: the head board, the pool's endpoint
// state. If the endpoint dies its view is dropped and it is asked on.
#pragma once
#include <caf/typed_actor.hpp>
#include <map>

#include "libs/rollup/config.hpp"
#include "services/remote-fetcher/actors/fork_watch.hpp"
#include "services/remote-fetcher/actors/head_hub.hpp"
#include "services/remote-fetcher/actors/pool.hpp"

namespace towline::fetcher {

using poll_atom = caf::atom_constant<caf::atom("poll")>;
/// A new head was told of.
using look_atom = caf::atom_constant<caf::atom("look")>;
using head_poller_actor = caf::typed_actor<caf::reacts_to<poll_atom, std::uint64_t>, caf::reacts_to<look_atom>>;

struct PollerConfig {
  std::size_t index = 0;
  absl::Duration interval;
  const rollup::Config* rollup;
  fork_watch_actor forks;
  Pool* pool;
  const Heads* heads;
  Metrics* metrics;
  /// --check.block-times
  bool check_times = true;
};

class HeadPollerState {
 public:
  static inline const char* name = "head_poller";
  explicit HeadPollerState(head_poller_actor::pointer self) : self_{self} {}
  head_poller_actor::behavior_type make_behavior(PollerConfig config);

 private:
  /// Polls, and again after the interval.
  void look();
  void poll();
  /// OK once it is known what the endpoint is and that it serves this chain.
  absl::Status probe();
  absl::Status check_el(const absl::StatusOr<std::uint64_t>& chain_id);
  absl::Status check_cl();
  /// OK when a probe was not due, or went well.
  absl::Status identify();
  /// From the answers to what was asked, which come after those for the labels.
  static void read(const std::vector<jsonrpc::Answer>& answers, Look& look);
  /// What a source says of its forks.
  template <class Atom>
  void tell_forks(Atom what, const jsonrpc::Answer& a);
  absl::StatusOr<Look> take_look();
  absl::StatusOr<Look> look_at_el();
  absl::StatusOr<Look> look_at_cl(contract::EndpointKind kind);
  /// Some steps towards the lowest block that a pruned endpoint has.
  void search_lowest();
  /// Neither a back-off nor a rate stands against it.
  bool may_poll() const;
  /// Asks the calls in order, in as few requests as the endpoint takes. The results of what was asked before are gone.
  absl::StatusOr<std::vector<jsonrpc::Answer>> ask_all(const std::vector<jsonrpc::Call>& calls, Asked what);
  absl::StatusOr<jsonrpc::Answer> ask(const jsonrpc::Call& call, Asked what);
  /// The poll fails for this reason, whatever was the trouble before.
  absl::Status fail(Problem p, std::string why);
  void show(const contract::HeadSnapshot& s);
  /// Once for the process: how late its clock is, as most sources have it.
  void show_clock();
  void show_state();
  head_poller_actor::pointer self_;
  PollerConfig config_{};
  Metrics::Counter rejected_, dropped_as_wrong_, dropped_as_error_;
  bool clock_was_late_ = false;
  /// Of the timer that counts: a look before it is due makes another one.
  std::uint64_t tick_ = 0;
  /// Why this poll fails, and the replies that its answers point into.
  Trouble trouble_;
  std::vector<std::shared_ptr<const Reply>> replies_;
};

head_poller_actor::behavior_type head_poller(head_poller_actor::stateful_pointer<HeadPollerState> self,
                                             PollerConfig config);

}  // namespace towline::fetcher
