// One an endpoint, in the dispatcher: probes it, then asks for its heads each interval, or when it tells of a new one.
// A hung endpoint holds up its own poller only, and has one head request outstanding at most. What comes of it goes to
// the head board and to the pool's endpoint. If the endpoint dies its view is dropped and it is asked on.
#pragma once
#include <map>

#include "libs/rollup/config.hpp"
#include "services/remote-fetcher/actors/fork_watch.hpp"
#include "services/remote-fetcher/actors/head_hub.hpp"
#include "services/remote-fetcher/actors/pool.hpp"

namespace towline::fetcher {

struct PollerConfig {
  std::size_t index = 0;
  absl::Duration interval;
  const rollup::Config* rollup = nullptr;
  fork_watch_actor forks;
  Pool* pool = nullptr;
  const Heads* heads = nullptr;
  Metrics* metrics = nullptr;
  /// --check.block-times
  bool check_times = true;
};

class HeadPoller {
 public:
  explicit HeadPoller(PollerConfig config);
  /// Until the pool stops.
  Task<void> run();
  /// A new head was told of: at most one look waits, however many heads are told of during a slow poll.
  void look_soon();

 private:
  Task<void> poll();
  /// OK once it is known what the endpoint is and that it serves this chain.
  Task<absl::Status> probe();
  Task<absl::Status> check_el(absl::StatusOr<std::uint64_t> chain_id);
  Task<absl::Status> check_cl();
  /// OK when a probe was not due, or went well.
  Task<absl::Status> identify();
  /// From the answers to what was asked, which come after those for the labels.
  static void read(const std::vector<jsonrpc::Answer>& answers, Look& look);
  /// What a source says of its forks.
  template <class Atom>
  void tell_forks(Atom what, const jsonrpc::Answer& a);
  Task<absl::StatusOr<Look>> take_look();
  Task<absl::StatusOr<Look>> look_at_el();
  Task<absl::StatusOr<Look>> look_at_cl(contract::EndpointKind kind);
  /// Some steps towards the lowest block that a pruned endpoint has.
  Task<void> search_lowest();
  /// Neither a back-off nor a rate stands against it.
  bool may_poll() const;
  /// Asks the calls in order, in as few requests as the endpoint takes. The results of what was asked before are gone.
  Task<absl::StatusOr<std::vector<jsonrpc::Answer>>> ask_all(std::vector<jsonrpc::Call> calls, Asked what);
  Task<absl::StatusOr<jsonrpc::Answer>> ask(const char* method, std::string params, Asked what);
  /// Nothing depends on this answer: a rate limit ends it (nullopt), and what was known is kept. One that fails
  /// otherwise says no.
  Task<std::optional<jsonrpc::Answer>> look_for(const char* method, const char* params, Asked what);
  /// The poll fails for this reason, whatever was the trouble before.
  absl::Status fail(Problem p, std::string why);
  void show(const contract::HeadSnapshot& s);
  /// Once for the process: how late its clock is, as most sources have it.
  void show_clock();
  void show_state();
  const PollerConfig config_;
  Metrics::Counter rejected_, dropped_as_wrong_, dropped_as_error_;
  bool clock_was_late_ = false;
  /// While it waits for the next look; and a head was told of meanwhile.
  std::shared_ptr<Once<bool>> waiting_;
  bool told_ = false;
  /// Why this poll fails, and the replies that its answers point into.
  Trouble trouble_;
  std::vector<Reply> replies_;
};

}  // namespace towline::fetcher
