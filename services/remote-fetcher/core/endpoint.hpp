// What is known about one remote RPC, and when it may be asked for what: probing, back-off, rates, batch sizes,
// available blocks, quarantine. Head polls and bulk work (headers, bodies) have separate back-offs, so that neither
// starves the other. Pure.
#pragma once
#include <absl/status/status.h>
#include <absl/time/time.h>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "libs/contract/heads.hpp"
#include "services/remote-fetcher/core/batch_size.hpp"
#include "services/remote-fetcher/core/latency.hpp"
#include "services/remote-fetcher/core/pace.hpp"
#include "services/remote-fetcher/core/problem.hpp"

namespace towline::fetcher {

enum class State { probing, ready, backing_off, quarantined, cordoned, rejected };
const char* name(State s);

/// The purpose of a request. Polls have a back-off of their own, bodies a batch size of their own.
enum class Work { poll, headers, bodies };

struct EndpointLimits {
  int max_in_flight = 16;
  /// Requests per second; 0: no limit.
  double max_requests_per_s = 0;
  /// Largest number of calls in one batch; 0: learned.
  std::size_t max_batch = 0;
  /// See share_between().
  std::size_t processes = 1;
};

/// Uniform in [0, 1): spreads the retries of processes that failed together.
using Jitter = std::function<double()>;

class Endpoint {
 public:
  static constexpr std::size_t kMaxBatch = 100;
  /// How often a slow endpoint, or one with too few answers, gets a request that measures it. The first kFirstRequests
  /// come without a pause.
  static constexpr absl::Duration kTrialEach = absl::Seconds(5);
  static constexpr std::uint64_t kFirstRequests = 8;

  Endpoint(std::string name, EndpointLimits limits, Jitter jitter);

  const std::string& name() const { return name_; }
  contract::EndpointKind kind() const { return kind_; }
  /// backing_off and quarantined end by themselves.
  State state(absl::Time now) const;
  /// The reason for the state, or what a ready endpoint cannot do; none if all is well.
  Trouble trouble(absl::Time now) const;
  bool raw_methods() const { return raw_methods_; }
  int in_flight() const { return in_flight_; }
  /// False after a failed bulk request, until one succeeds or a poll does. Such an endpoint gets no work while another
  /// can do it.
  bool healthy() const { return bulk_.failures == 0 || polled_since_failure_; }

  /// The limit of requests per second applies to this many remote-fetchers together.
  void share_between(std::size_t processes);

  /// Calls that the next request for `w` may hold.
  std::size_t max_batch(Work w, absl::Time now) const;
  /// When the next poll may be sent, after back-off, Retry-After and quarantine; polls do not wait for a slot. A
  /// rejected endpoint is polled every few minutes. InfiniteFuture while it is cordoned.
  absl::Time next_poll(absl::Time now) const;
  /// When the next bulk request may be sent. InfiniteFuture while all slots are taken, after a failure while a request
  /// is pending, and while the endpoint is rejected or cordoned.
  absl::Time next_bulk(absl::Time now) const;

  void on_request(Work w, std::size_t calls, absl::Time now);
  /// Each call was answered.
  void on_answered(Work w, std::size_t calls, absl::Time now, absl::Duration latency);
  /// A batch with gaps: `answered` calls were answered.
  void on_gaps(Work w, std::size_t calls, std::size_t answered, absl::Time now);
  /// The server is busy for everybody. The wait that it named applies to all work.
  void on_busy(Work w, std::size_t calls, absl::Time now, std::optional<absl::Duration> retry_after);
  /// A rate limit; `answered` calls were answered all the same. A wait that the server named applies to all work.
  /// `by_call`: each call was refused separately.
  void on_rate_limit(Work w, std::size_t calls, std::size_t answered, bool by_call, absl::Time now,
                     std::optional<absl::Duration> retry_after);
  /// No answer to a batch; a smaller batch may get one.
  void on_batch_failed(Work w, std::size_t calls, absl::Time now, Trouble t);
  /// No complete answer in time: the batch may be too large, or the endpoint hangs.
  void on_timeout(Work w, std::size_t calls, absl::Time now, Trouble t);
  /// No answer at all. For polls, the caller counts failures by on_poll().
  void on_error(Work w, std::size_t calls, absl::Time now, Trouble t);
  /// A bulk answer arrived but cannot be used.
  void on_useless_answer(absl::Time now, Trouble t);
  /// Another endpoint answered first, after this one had already taken `took`. The request is cancelled next.
  void on_overtaken(Work w, std::size_t calls, absl::Time now, absl::Duration took);
  /// A cancelled request says nothing about the endpoint.
  void on_cancelled(Work w, std::size_t calls);

  /// The result of a whole poll or probe.
  void on_poll(absl::Time now, const Trouble& t);
  void on_probed(absl::Time now, contract::EndpointKind kind, bool raw_methods);
  /// Whether the endpoint has to be identified (again): never probed, failed since the last probe, or probed long ago.
  bool probe_due(absl::Time now) const;
  void set_raw_methods(bool has) { raw_methods_ = has; }
  /// eth_syncing reported blocks still missing; none: synced.
  void set_syncing(Trouble t) { syncing_ = std::move(t); }
  bool syncing() const { return static_cast<bool>(syncing_); }
  /// The endpoint served a transaction of an unknown type, and has no raw form of it.
  void on_unknown_transactions(absl::Time now, std::string why);

  /// The head that the endpoint reports.
  void on_head(std::uint64_t number) { head_ = number; }
  /// The endpoint reports that it lacks block `number`. True: the block is far below its head, so it is gone, and
  /// blocks up to it are not asked of this endpoint for a while. False: one of its replicas may merely be behind.
  bool on_missing(absl::Time now, std::uint64_t number);
  /// The endpoint reports that block `number` is gone.
  void on_gone(absl::Time now, std::uint64_t number);
  /// The search for the lowest block found that the endpoint has `number`.
  void on_has(std::uint64_t number) { has_ = number; }
  bool has_gone(absl::Time now, std::uint64_t number) const { return gone_ && now < gone_until_ && number <= *gone_; }
  /// The next number to ask for in the search for the lowest block; nullopt: nothing to find out.
  std::optional<std::uint64_t> search_lowest(absl::Time now) const;

  /// The endpoint is on another chain: rejected until a later probe says otherwise.
  void refuse(absl::Time now, std::string why);
  /// The endpoint served data that does not verify or that contradicts the finalized chain. The quarantine grows each
  /// time. Returns false if it is already in quarantine: this answer was already on its way.
  bool quarantine(absl::Time now, std::string why);
  /// The endpoint is on another branch than the requested one, and may be honest: no blocks are asked of it for 3 s.
  /// Its heads still count.
  void hold(absl::Time now, std::string why);
  void cordon(std::string why);
  /// Ends a cordon, and a quarantine. FAILED_PRECONDITION: the endpoint is rejected; it is probed again at once.
  absl::Status uncordon();

  struct Counts {
    std::uint64_t requests = 0;
    std::uint64_t errors = 0;
    std::uint64_t rate_limited = 0;
    std::uint64_t integrity_failures = 0;
  };
  const Counts& counts() const { return counts_; }
  /// Exponential moving average.
  absl::Duration latency() const { return latency_; }
  const Latency& latency_of(Work w) const { return latencies_[static_cast<std::size_t>(w)]; }
  /// slow(): other endpoints are asked first (core/ranking). takes(): its typical time per request.
  bool slow(Work w) const { return slow_[static_cast<std::size_t>(w)].is; }
  absl::Duration takes(Work w) const { return slow_[static_cast<std::size_t>(w)].takes; }
  void set_slow(Work w, bool slow, absl::Duration takes = absl::InfiniteDuration()) {
    slow_[static_cast<std::size_t>(w)] = {slow, takes};
  }
  /// Some of its answers take several times as long as those of other endpoints.
  bool unsteady(Work w) const { return unsteady_[static_cast<std::size_t>(w)]; }
  void set_unsteady(Work w, bool unsteady) { unsteady_[static_cast<std::size_t>(w)] = unsteady; }
  /// Whether the endpoint should get a request that measures it.
  bool trial_due(Work w, absl::Time now) const;
  /// Whether too few answers are known, and a request for `w` should measure it.
  bool unknown(Work w, absl::Time now) const;

 private:
  /// A back-off, for polls or for bulk work.
  struct Lane {
    std::uint64_t failures = 0;
    absl::Time hold = absl::InfinitePast();
    std::uint64_t limited_in_a_row = 0;
    absl::Time limited = absl::InfinitePast();
    Trouble trouble;
  };
  Lane& lane(Work w) { return w == Work::poll ? poll_ : bulk_; }
  BatchSize& size(Work w) { return w == Work::bodies ? heavy_ : light_; }
  void fail(Lane& lane, absl::Time now, Trouble t);
  absl::Duration backoff(absl::Duration first, std::uint64_t times, absl::Duration limit) const;

  const std::string name_;
  const EndpointLimits limits_;
  std::size_t processes_ = 1;
  const Jitter jitter_;
  contract::EndpointKind kind_ = contract::EndpointKind::unknown;
  bool raw_methods_ = false;
  bool rejected_ = false;
  bool cordoned_ = false;
  absl::Time probe_rejected_ = absl::InfinitePast();
  std::string rejected_why_, cordoned_why_;
  Trouble quarantine_why_, syncing_, unknown_transactions_;
  absl::Time unknown_transactions_until_ = absl::InfinitePast();
  Lane poll_, bulk_;
  bool polled_since_failure_ = false;
  /// Until when the server asked to wait, for all work.
  absl::Time retry_after_ = absl::InfinitePast();
  BatchSize light_, heavy_;
  Pace pace_;
  absl::Time next_poll_ = absl::InfinitePast();
  /// Requests of the current poll.
  std::uint64_t poll_requests_ = 0;
  int in_flight_ = 0;
  bool failed_since_probe_ = false;
  absl::Time probed_ = absl::InfinitePast();
  absl::Time quarantined_until_ = absl::InfinitePast();
  absl::Time elsewhere_ = absl::InfinitePast();
  std::string elsewhere_why_;
  std::optional<std::uint64_t> head_;
  /// The highest block known to be gone, and the lowest known to be there.
  std::optional<std::uint64_t> gone_, has_;
  absl::Time gone_until_ = absl::InfinitePast();
  absl::Duration latency_;
  std::array<Latency, 3> latencies_;
  struct Slow {
    bool is = false;
    absl::Duration takes;
  };
  std::array<Slow, 3> slow_;
  std::array<bool, 3> unsteady_{};
  /// When a request was last sent, and how many were, by work.
  std::array<absl::Time, 3> asked_{absl::InfinitePast(), absl::InfinitePast(), absl::InfinitePast()};
  std::array<std::uint64_t, 3> sent_{};
  Counts counts_;
};

}  // namespace towline::fetcher
