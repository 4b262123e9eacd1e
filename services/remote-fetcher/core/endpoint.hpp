// What is known of one remote RPC, and when it may be asked for what: probing, back-off, rates, batch sizes, which
// blocks it has, being quarantined. Head polls and bulk work (headers, bodies) have a back-off each, so that neither
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

/// What a request is for. Polls have a back-off of their own; bodies a batch size of their own.
enum class Work { poll, headers, bodies };

struct EndpointLimits {
  int max_in_flight = 16;
  /// 0: no limit.
  double max_requests_per_s = 0;
  /// Calls in one batch at most; 0: learned.
  std::size_t max_batch = 0;
  /// As share_between(), from the start.
  std::size_t processes = 1;
};

/// Uniform in [0, 1): spreads the back-off of processes that failed together.
using Jitter = std::function<double()>;

class Endpoint {
 public:
  static constexpr std::size_t kMaxBatch = 100;
  /// How often a slow endpoint is asked, to find out whether it is fast again.
  static constexpr absl::Duration kTrialEach = absl::Seconds(5);

  Endpoint(std::string name, EndpointLimits limits, Jitter jitter);

  const std::string& name() const { return name_; }
  contract::EndpointKind kind() const { return kind_; }
  /// backing_off and quarantined end by themselves.
  State state(absl::Time now) const;
  /// Why it is in that state, or what it cannot do although it is ready; none when all is well.
  Trouble trouble(absl::Time now) const;
  bool raw_methods() const { return raw_methods_; }
  int in_flight() const { return in_flight_; }
  /// Its last bulk answer was good. One that failed is not given work while another can do it, until a poll succeeds.
  bool healthy() const { return bulk_.failures == 0 || polled_since_failure_; }

  /// The limit of requests a second is for this many remote-fetchers together.
  void share_between(std::size_t processes);

  /// Calls that the next request for `w` may hold.
  std::size_t max_batch(Work w, absl::Time now) const;
  /// When the next poll may leave: its own back-off, Retry-After and being quarantined; polls do not wait for a slot.
  /// InfiniteFuture while it may not be used at all.
  absl::Time next_poll(absl::Time now) const;
  /// When the next bulk request may leave; InfiniteFuture while all its slots are taken.
  absl::Time next_bulk(absl::Time now) const;

  void on_request(Work w, std::size_t calls, absl::Time now);
  /// Each call has an answer.
  void on_answered(Work w, std::size_t calls, absl::Time now, absl::Duration latency);
  /// A batch with gaps: `answered` calls have an answer.
  void on_gaps(Work w, std::size_t calls, std::size_t answered, absl::Time now);
  /// The server is busy for everybody, and named a wait: it holds for all work.
  void on_busy(Work w, std::size_t calls, absl::Time now, std::optional<absl::Duration> retry_after);
  /// A rate limit; `answered` calls have an answer all the same. A wait that the server named holds for all work.
  /// `by_call`: each call was refused by itself.
  void on_rate_limit(Work w, std::size_t calls, std::size_t answered, bool by_call, absl::Time now,
                     std::optional<absl::Duration> retry_after);
  /// No answer to a batch that fewer calls may get.
  void on_batch_failed(Work w, std::size_t calls, absl::Time now, Trouble t);
  /// No whole answer in time: the batch may be too much, or the endpoint hangs.
  void on_timeout(Work w, std::size_t calls, absl::Time now, Trouble t);
  /// No answer at all. A poll's caller counts its failures itself: on_poll().
  void on_error(Work w, std::size_t calls, absl::Time now, Trouble t);
  /// A bulk answer that came is of no use.
  void on_useless_answer(absl::Time now, Trouble t);
  /// Another has answered while this one took `took` already; the request is cancelled next.
  void on_overtaken(Work w, std::size_t calls, absl::Time now, absl::Duration took);
  /// A request that was cancelled says nothing of the endpoint.
  void on_cancelled(Work w, std::size_t calls);

  /// How a whole poll (or probe) went.
  void on_poll(absl::Time now, const Trouble& t);
  void on_probed(absl::Time now, contract::EndpointKind kind, bool raw_methods);
  /// Who it is has to be asked (again): never probed, failed since, or long ago.
  bool probe_due(absl::Time now) const;
  void set_raw_methods(bool has) { raw_methods_ = has; }
  /// eth_syncing told of blocks that it does not have yet; none: it is synced.
  void set_syncing(Trouble t) { syncing_ = std::move(t); }
  bool syncing() const { return static_cast<bool>(syncing_); }
  /// It gives a transaction that we cannot read, and no raw form of it.
  void on_unknown_transactions(absl::Time now, std::string why);

  /// Its head, as it says.
  void on_head(std::uint64_t number) { head_ = number; }
  /// It says that it does not have block `number`. True: that is far below its head, so the block is gone, and blocks
  /// at or below it are not asked of it for a while. False: one of its replicas may only be behind.
  bool on_missing(absl::Time now, std::uint64_t number);
  /// It says that block `number` is gone.
  void on_gone(absl::Time now, std::uint64_t number);
  /// What the search for its lowest block has found.
  void on_has(std::uint64_t number) { has_ = number; }
  /// It has no block up to this one.
  std::optional<std::uint64_t> gone(absl::Time now) const { return now < gone_until_ ? gone_ : std::nullopt; }
  bool has_gone(absl::Time now, std::uint64_t number) const {
    const auto g = gone(now);
    return g && number <= *g;
  }
  /// The number to ask for next to find the lowest block that it has; nullopt: nothing is to be found out.
  std::optional<std::uint64_t> search_lowest(absl::Time now) const;

  /// Another chain or genesis: until a probe says otherwise, which is made now and then.
  void refuse(absl::Time now, std::string why);
  /// It served data that does not verify, or that contradicts what is final. Each time for longer; false: it is in
  /// quarantine already, and this was on its way when it was found out.
  bool quarantine(absl::Time now, std::string why);
  /// It is on another branch than the one that is asked for, and may be honest all the same: for a moment it is not
  /// asked for blocks. Its heads count on.
  void hold(absl::Time now, std::string why);
  void cordon(std::string why);
  /// Lifts a cordon, and what it was quarantined for. FAILED_PRECONDITION: it is refused; it is probed at once.
  absl::Status uncordon();

  struct Counts {
    std::uint64_t requests = 0;
    std::uint64_t errors = 0;
    std::uint64_t rate_limited = 0;
    std::uint64_t integrity_failures = 0;
  };
  const Counts& counts() const { return counts_; }
  /// Moving mean over the last answers.
  absl::Duration latency() const { return latency_; }
  const Latency& latency_of(Work w) const { return latencies_[static_cast<std::size_t>(w)]; }
  /// Others are asked before it (core/ranking), and how long it takes.
  bool slow(Work w) const { return slow_[static_cast<std::size_t>(w)].is; }
  absl::Duration takes(Work w) const { return slow_[static_cast<std::size_t>(w)].takes; }
  void set_slow(Work w, bool slow, absl::Duration takes = absl::InfiniteDuration()) {
    slow_[static_cast<std::size_t>(w)] = {slow, takes};
  }
  /// A slow one is asked all the same, with one request.
  bool trial_due(absl::Time now) const { return in_flight_ == 0 && now - asked_ > kTrialEach; }

 private:
  /// One back-off: of polls, or of bulk work.
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
  /// Of what the server named; for all work.
  absl::Time retry_after_ = absl::InfinitePast();
  BatchSize light_, heavy_;
  Pace pace_;
  absl::Time next_poll_ = absl::InfinitePast();
  /// Of the poll that is under way.
  std::uint64_t poll_requests_ = 0;
  int in_flight_ = 0;
  bool failed_since_probe_ = false;
  absl::Time probed_ = absl::InfinitePast();
  absl::Time quarantined_until_ = absl::InfinitePast();
  absl::Time elsewhere_ = absl::InfinitePast();
  std::string elsewhere_why_;
  std::optional<std::uint64_t> head_;
  /// The highest block known to be gone and the lowest known to be there.
  std::optional<std::uint64_t> gone_, has_;
  absl::Time gone_until_ = absl::InfinitePast();
  absl::Duration latency_;
  std::array<Latency, 3> latencies_;
  struct Slow {
    bool is = false;
    absl::Duration takes;
  };
  std::array<Slow, 3> slow_;
  /// For bulk work.
  absl::Time asked_ = absl::InfinitePast();
  Counts counts_;
};

}  // namespace towline::fetcher
