// What is known of one remote RPC, and when it may be asked: probing, back-off, rate limits, batch size, being set
// aside. Pure.
#pragma once
#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace towline::fetcher {

enum class Kind { unknown, el, cl };
enum class State { probing, ready, backing_off, set_aside, cordoned, refused };
const char* name(Kind k);
const char* name(State s);

struct EndpointLimits {
  int max_in_flight = 16;
  /// 0: no limit.
  double max_requests_per_s = 0;
  /// Calls in one batch at most; 0: learned.
  std::size_t max_batch = 0;
};

/// Uniform in [0, 1): spreads the back-off of processes that failed together.
using Jitter = std::function<double()>;

class Endpoint {
 public:
  static constexpr std::size_t kMaxBatch = 100;

  Endpoint(std::string name, EndpointLimits limits, Jitter jitter)
      : name_{std::move(name)}, limits_{limits}, jitter_{std::move(jitter)} {}

  const std::string& name() const { return name_; }
  Kind kind() const { return kind_; }
  /// backing_off and set_aside end by themselves.
  State state(absl::Time now) const;
  /// Why it is in that state, for a person; empty when ready.
  std::string reason(absl::Time now) const;
  std::size_t max_batch() const { return max_batch_; }
  bool raw_methods() const { return raw_methods_; }
  int in_flight() const { return in_flight_; }
  /// Its last answer was good. One that failed is not given work while another can do it: its next poll will tell.
  bool healthy() const { return failures_ == 0; }

  /// When back-off, rate limit and set-aside are over; InfiniteFuture while it may not be used at all. For polls, which
  /// must not wait for bulk work to leave a slot.
  absl::Time allowed_at(absl::Time now) const;
  /// When the next bulk request may leave; InfiniteFuture while all its slots are taken too.
  absl::Time next_slot(absl::Time now) const;

  void on_request(absl::Time now);
  void on_success(absl::Time now, absl::Duration latency);
  /// Transport errors, HTTP errors, answers that are no JSON-RPC.
  void on_error(absl::Time now, std::string why);
  /// No whole answer in time: as on_error, and a batch of `asked` was perhaps too much for its line.
  void on_timeout(absl::Time now, std::string why, std::size_t asked);
  /// An answer that came (on_success) is of no use.
  void on_bad_answer(absl::Time now, std::string why);
  /// A call that was cancelled says nothing of the endpoint.
  void on_cancelled() { --in_flight_; }
  /// Nothing that succeeds meanwhile ends the wait that it asked for.
  void on_rate_limit(absl::Time now, std::optional<absl::Duration> retry_after);
  /// 413, a batch error, or a batch answered with gaps: half of what was asked for.
  void on_too_large(std::size_t asked);

  void on_probed(absl::Time now, Kind kind, bool raw_methods);
  /// Who it is has to be asked (again): never probed, failed since, or long ago.
  bool probe_due(absl::Time now) const;
  /// Another chain or genesis.
  void refuse(std::string why);
  /// It served data that does not verify, or that contradicts what is final. Each time for longer; false: it is aside
  /// already, and this was on its way when it was found out.
  bool set_aside(absl::Time now, std::string why);
  /// It is on another branch than the one that is asked for, above what is final: it may be honest and only behind.
  void step_aside(absl::Time now, std::string why);
  void cordon(std::string why);
  void uncordon();

  struct Counts {
    std::uint64_t requests = 0;
    std::uint64_t errors = 0;
    std::uint64_t rate_limited = 0;
    std::uint64_t lies = 0;
  };
  const Counts& counts() const { return counts_; }
  /// Moving mean over the last answers.
  absl::Duration latency() const { return latency_; }

 private:
  void fail(absl::Time now, std::string why);
  absl::Duration backoff(absl::Duration first, std::uint64_t times, absl::Duration limit) const;
  const std::string name_;
  const EndpointLimits limits_;
  const Jitter jitter_;
  Kind kind_ = Kind::unknown;
  bool raw_methods_ = false;
  bool refused_ = false;
  bool cordoned_ = false;
  std::string failure_ = "not probed yet";
  std::string refused_why_, cordoned_why_, aside_why_;
  std::size_t max_batch_ = kMaxBatch;
  std::uint64_t answers_since_shrink_ = 0;
  int in_flight_ = 0;
  std::uint64_t failures_ = 0;
  std::uint64_t limited_in_a_row_ = 0;
  bool failed_since_probe_ = false;
  absl::Time probed_ = absl::InfinitePast();
  absl::Time hold_ = absl::InfinitePast();
  absl::Time limited_ = absl::InfinitePast();
  absl::Time aside_ = absl::InfinitePast();
  absl::Time lie_ = absl::InfinitePast();
  absl::Time next_token_ = absl::InfinitePast();
  absl::Duration latency_;
  Counts counts_;
};

}  // namespace towline::fetcher
