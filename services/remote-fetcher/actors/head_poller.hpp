// One per endpoint, in the dispatcher: probes the endpoint, then polls its heads once per interval, or when it
// announces a new head. A hung endpoint delays only its own poller, and has at most one head request in flight. Results
// go to the head board and to the pool's endpoint. If the endpoint dies, its last heads grow stale for the vote, and
// polling continues.
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
  /// Runs until the pool stops.
  Task<void> run();
  /// The endpoint announced a new head. At most one look is queued, however many heads are announced during a slow
  /// poll.
  void look_soon();

 private:
  Task<void> poll();
  /// OK once the endpoint is identified and serves this chain.
  Task<absl::Status> probe();
  Task<absl::Status> check_el(absl::StatusOr<std::uint64_t> chain_id);
  Task<absl::Status> check_cl();
  /// OK if no probe was due, or the probe succeeded.
  Task<absl::Status> identify();
  /// Reads the answers for look.asked, which follow those for the labels.
  static void read(const std::vector<jsonrpc::Answer>& answers, Look& look);
  /// Reports what a source says about its forks.
  template <class Atom>
  void tell_forks(Atom what, const jsonrpc::Answer& a);
  Task<absl::StatusOr<Look>> take_look();
  Task<absl::StatusOr<Look>> look_at_el();
  Task<absl::StatusOr<Look>> look_at_cl(contract::EndpointKind kind);
  /// Takes a few steps in the search for the lowest block of a pruned endpoint.
  Task<void> search_lowest();
  /// No back-off and no rate limit prevents a poll now.
  bool may_poll() const;
  /// Asks the calls in order, in as few requests as the endpoint takes. Invalidates the answers of earlier calls.
  Task<absl::StatusOr<std::vector<jsonrpc::Answer>>> ask_all(std::vector<jsonrpc::Call> calls, Asked what);
  Task<absl::StatusOr<jsonrpc::Answer>> ask(const char* method, std::string params, Asked what);
  /// An optional question: a rate limit returns nullopt, and the earlier result is kept. Any other failure means no.
  Task<std::optional<jsonrpc::Answer>> look_for(const char* method, const char* params, Asked what);
  /// Fails the poll for this reason, replacing any earlier trouble.
  absl::Status fail(Problem p, std::string why);
  void show(const contract::HeadSnapshot& s);
  /// Shows, once per process, how late its clock is according to most sources.
  void show_clock();
  void show_state();
  const PollerConfig config_;
  Metrics::Counter rejected_, dropped_as_wrong_, dropped_as_error_;
  bool clock_was_late_ = false;
  /// Set while waiting for the next look; and whether a head was announced in the meantime.
  std::shared_ptr<Once<bool>> waiting_;
  bool told_ = false;
  /// Why this poll fails, and the replies that own the current answers.
  Trouble trouble_;
  std::vector<Reply> replies_;
};

}  // namespace towline::fetcher
