// All endpoints of this process and the calls to them. A task takes a turn with an endpoint that may be asked now,
// makes its call, and the result updates the endpoint's state. Lives in the dispatcher, like all its users.
#pragma once
#include <absl/status/statusor.h>

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "libs/jsonrpc/jsonrpc.hpp"
#include "libs/telemetry/metrics.hpp"
#include "services/remote-fetcher/actors/endpoint_view.hpp"
#include "services/remote-fetcher/actors/evidence.hpp"
#include "services/remote-fetcher/actors/host.hpp"
#include "services/remote-fetcher/core/allowance.hpp"
#include "services/remote-fetcher/core/budget.hpp"
#include "services/remote-fetcher/core/hedge.hpp"
#include "services/remote-fetcher/core/http_answer.hpp"
#include "services/remote-fetcher/core/waiting_line.hpp"

namespace towline::fetcher {

/// Requests that may wait for an endpoint, over all tasks.
inline constexpr std::size_t kMostWaiting = 4096;

/// A share of a budget, returned on destruction.
class Share {
 public:
  Share(std::function<void(std::size_t)> give_back, std::size_t bytes)
      : give_back_{std::move(give_back)}, bytes_{bytes} {}
  Share(Share&& o) noexcept : give_back_{std::exchange(o.give_back_, {})}, bytes_{o.bytes_} {}
  Share& operator=(Share&& o) noexcept {
    std::swap(give_back_, o.give_back_);
    std::swap(bytes_, o.bytes_);
    return *this;
  }
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;
  ~Share() {
    if (give_back_) give_back_(bytes_);
  }
  /// Returns all but `bytes` now.
  void keep(std::size_t bytes) {
    if (bytes >= bytes_) return;
    give_back_(bytes_ - bytes);
    bytes_ = bytes;
  }

 private:
  std::function<void(std::size_t)> give_back_;
  std::size_t bytes_;
};

/// The answers; an unanswered call is `missing` and should be asked again. Texts in it are presentable.
struct Reply {
  /// Shared with the verifier that reads it.
  std::shared_ptr<const jsonrpc::Answers> answers;
  /// The size of the whole body.
  std::size_t bytes = 0;
  Share share;
  /// The endpoint that answered.
  std::size_t endpoint = 0;
  const jsonrpc::Answer& at(std::size_t k) const { return answers->answers[k]; }
};

class Pool;

/// Permission for one request (core/waiting_line). end() gives the slot back; so does the destructor if no request was
/// made, or if it was cancelled.
class Turn : public Slot {
 public:
  Turn(Pool& pool, const Slot& slot) : Slot{slot}, pool_{&pool} {}
  Turn(Turn&& o) noexcept : Slot{o}, pool_{std::exchange(o.pool_, nullptr)} {}
  Turn& operator=(Turn&& o) noexcept {
    std::swap<Slot>(*this, o);
    std::swap(pool_, o.pool_);
    return *this;
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn();
  /// Records the result of the request in its endpoint.
  void end(const std::function<void(Endpoint&)>& learn);

 private:
  Pool* pool_;
};

/// Allows a slow request to be sent to a second endpoint as well; the fields are those of Wanted.
struct Hedge {
  std::set<std::size_t> except;
  std::optional<std::uint64_t> number;
};

class Pool {
 public:
  Pool(std::vector<EndpointConfig> endpoints, absl::Duration request_timeout, EndpointViewPtr view,
       evidence_actor evidence, Metrics& metrics, Host& host);

  std::size_t size() const { return endpoints_.size(); }
  const std::string& name(std::size_t i) const { return view_->name(i); }
  const std::vector<Voter>& voters() const { return view_->voters(); }
  const EndpointView& view() const { return *view_; }
  Host& host() const { return host_; }
  absl::Time now() const { return host_.now(); }
  const Endpoint& get(std::size_t i) const { return *endpoints_[i]; }
  http::Request request_to(std::size_t i) const;
  const std::string& url(std::size_t i) const { return configs_[i].url; }

  /// Waits for a turn (core/waiting_line); the caller then makes its call(). Errors of the waiting line, and CANCELLED.
  Task<absl::StatusOr<Turn>> turn(Wanted wanted, CancelPtr cancelled);
  /// A turn with endpoint `i` only.
  Task<absl::StatusOr<Turn>> turn_with(std::size_t i, Wanted wanted, CancelPtr cancelled);
  /// Whether more than kPatience has passed since `since`, and since any source last answered a bulk request.
  bool out_of_patience(absl::Time since) const { return line_.out_of_patience(since, now()); }
  /// Makes the one request of a turn, with at most its number of calls. RESOURCE_EXHAUSTED: no answer; a smaller batch
  /// may get one. OUT_OF_RANGE: the answer exceeded the allowance, and a larger one may be given. UNAVAILABLE: the
  /// request failed or hit a rate limit, or the answer was so large that the endpoint is reported. CANCELLED. The reply
  /// holds a share of the memory for all answers, so its holder must not wait for another request.
  /// `hedge`: a second endpoint may be asked as well, and may answer first.
  Task<absl::StatusOr<Reply>> call(Turn turn, std::vector<jsonrpc::Call> calls, Allowance allowance,
                                   CancelPtr cancelled, std::optional<Hedge> hedge = {});
  /// Calls that the next poll of endpoint `i` may hold in one request.
  std::size_t poll_batch(std::size_t i) const { return get(i).max_batch(Work::poll, now()); }
  /// A request without a turn, for polls and probes, which have their own pace. Errors as above; `trouble` tells the
  /// reason for Endpoint::on_poll(), and must outlive the task.
  Task<absl::StatusOr<Reply>> poll(std::size_t i, std::vector<jsonrpc::Call> calls, Asked what, Trouble* trouble,
                                   CancelPtr cancelled);

  void update(std::size_t i, const std::function<void(Endpoint&)>& change);
  /// An answer arrived but cannot be used: the endpoint backs off.
  void useless(std::size_t i, Problem problem, const std::string& why);
  /// Endpoint `i` says that it lacks block `number`. True: the block is gone there, and not merely late.
  bool note_absent(std::size_t i, std::uint64_t number, jsonrpc::Absence absence);
  /// Quarantines the endpoint, counts, logs, and keeps the evidence. `what`: the failed check in one word.
  void report_bad_data(std::size_t i, const std::string& what, const std::string& shown);
  /// The endpoint is on another branch above the finalized block, which is no proof of bad data: it is not asked for a
  /// moment, with the same records.
  void hold(std::size_t i, const std::string& shown);

  /// Serves waiting turns. Call it after each message, like Loop::run().
  void go_on();
  void stop() { stopping_->call(); }
  bool stopped() const { return stopping_->called(); }
  const CancelPtr& stopping() const { return stopping_; }

 private:
  /// An answer that a verifier decompressed and parsed.
  struct Answered {
    http::Response response;
    std::size_t size = 0;
    Outcome outcome;
  };
  enum class Result {
    ok,
    gaps,
    rate_limited,
    http_error,
    batch_failed,
    malformed,
    cancelled,
    timeout,
    too_large,
    transport,
    unusable,
  };
  struct Counters {
    std::array<Metrics::Counter, static_cast<std::size_t>(Result::unusable) + 1> results;
    Metrics::Counter received, integrity_failures, other_branch, hedged;
  };
  struct Line {
    explicit Line(std::size_t bytes) : budget{bytes} {}
    Budget budget;
    std::map<std::uint64_t, std::pair<std::size_t, std::shared_ptr<Once<std::optional<Share>>>>> waiting;
  };

  /// A request that is sent to one or two endpoints.
  struct Race {
    struct Racer {
      CancelPtr cancel = std::make_shared<Cancel>();
      std::optional<absl::StatusOr<Reply>> reply;
      bool ok() const { return reply && reply->ok(); }
    };
    std::array<Racer, 2> racers;
    bool late = false;
    std::shared_ptr<Once<bool>> news;
  };
  Task<void> run(std::shared_ptr<Race> race, std::size_t k, Turn turn, std::vector<jsonrpc::Call> calls,
                 Allowance allowance);
  Task<absl::StatusOr<Reply>> hedged(Turn turn, std::vector<jsonrpc::Call> calls, Allowance allowance,
                                     CancelPtr cancelled, Hedge hedge, absl::Duration after);
  /// Another endpoint, a fast or a slow one, that may be sent the same request now.
  std::optional<Turn> second_of(const Slot& first, const Hedge& hedge, bool slow);
  /// Sends the request to a slow endpoint, to learn whether it is still slow. Nobody waits for the answer.
  Task<void> measure(Turn turn, std::vector<jsonrpc::Call> calls, Allowance allowance);
  Task<std::optional<Share>> share_of(Line* line, std::size_t bytes, CancelPtr cancelled);
  void grant(Line& line);
  Task<Answered> ask(http::Request request, std::size_t calls, bool urgent, CancelPtr cancelled);
  /// Takes a turn without waiting.
  Turn take(const Slot& slot);
  Task<absl::StatusOr<Reply>> exchange(Turn turn, std::vector<jsonrpc::Call> calls, Allowance allowance,
                                       CancelPtr cancelled, Trouble* trouble);
  void count(std::size_t i, Result result);
  void wake_at(absl::Time at);

  const std::vector<EndpointConfig> configs_;
  /// The secrets of each endpoint, which must not be shown.
  std::vector<std::vector<std::string>> secrets_;
  const absl::Duration timeout_;
  const EndpointViewPtr view_;
  const evidence_actor evidence_;
  Host& host_;
  std::vector<Counters> counters_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
  std::vector<Endpoint*> all_;
  CancelPtr stopping_ = std::make_shared<Cancel>();
  std::uint64_t last_id_ = 0;
  WaitingLine line_{kMostWaiting};
  std::map<std::uint64_t, std::shared_ptr<Once<absl::StatusOr<Turn>>>> turns_;
  /// Something changed that waiting turns depend on.
  bool changed_ = false;
  absl::Time wake_at_ = absl::InfiniteFuture();
  HedgeAllowance hedges_;
  /// Separate budgets, so that bulk work never delays a poll.
  Line bulk_{kBulkBytes}, polls_{kPollBytes};
};

}  // namespace towline::fetcher
