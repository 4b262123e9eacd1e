// All endpoints of this process and the calls to them: a task takes a turn with an endpoint that may be asked now,
// makes its call, and what came of it is what the endpoint's state becomes. It lives in the dispatcher, as all that
// uses it does.
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

/// Requests of all tasks that wait for an endpoint.
inline constexpr std::size_t kMostWaiting = 4096;

/// A part of a budget, until it is gone.
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
  /// The rest is given back.
  void keep(std::size_t bytes) {
    if (bytes >= bytes_) return;
    give_back_(bytes_ - bytes);
    bytes_ = bytes;
  }

 private:
  std::function<void(std::size_t)> give_back_;
  std::size_t bytes_;
};

/// Answers; a call that was left out is `missing`: ask again. Texts in it are presentable.
struct Reply {
  /// Shared with who reads it on a verifier.
  std::shared_ptr<const jsonrpc::Answers> answers;
  /// Of the whole body.
  std::size_t bytes = 0;
  Share share;
  /// Who answered.
  std::size_t endpoint = 0;
  const jsonrpc::Answer& at(std::size_t k) const { return answers->answers[k]; }
};

class Pool;

/// Leave to make one request (core/waiting_line). Its slot is free again when it is told what came of the request, or
/// when the turn is gone and there was none.
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
  /// What its endpoint learns of the request.
  void end(const std::function<void(Endpoint&)>& learn);

 private:
  Pool* pool_;
};

/// Whom a request may be put to as well, when it takes long: as Wanted says it.
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

  /// A turn, when there is one (core/waiting_line). Errors as there, and CANCELLED.
  Task<absl::StatusOr<Turn>> turn(Wanted wanted, CancelPtr cancelled);
  /// With endpoint `i` and no other.
  Task<absl::StatusOr<Turn>> turn_with(std::size_t i, Wanted wanted, CancelPtr cancelled);
  /// No source has answered any bulk request for kPatience, nor was one asked before `since`.
  bool out_of_patience(absl::Time since) const { return line_.out_of_patience(since, now()); }
  /// The one request of a turn, with as many calls as it has. RESOURCE_EXHAUSTED: no answer, and fewer calls may get
  /// one. OUT_OF_RANGE: larger than allowed, and more may be asked for. UNAVAILABLE: it failed, was over a rate limit,
  /// or so large that the endpoint is charged with it. CANCELLED: broken off. The reply holds a part of what all
  /// answers may have together: no other request may be waited for meanwhile.
  /// `hedge`: another endpoint may be asked too, and answer first.
  Task<absl::StatusOr<Reply>> call(Turn turn, std::vector<jsonrpc::Call> calls, Allowance allowance,
                                   CancelPtr cancelled, std::optional<Hedge> hedge = {});
  /// Calls that the next poll of endpoint `i` may hold in one request.
  std::size_t poll_batch(std::size_t i) const { return get(i).max_batch(Work::poll, now()); }
  /// Takes no turn: for polls and probes, which are paced already. Errors as above; `trouble` says why for
  /// Endpoint::on_poll(), and outlives the task.
  Task<absl::StatusOr<Reply>> poll(std::size_t i, std::vector<jsonrpc::Call> calls, Asked what, Trouble* trouble,
                                   CancelPtr cancelled);

  void update(std::size_t i, const std::function<void(Endpoint&)>& change);
  /// An answer that arrived is of no use: the endpoint backs off.
  void useless(std::size_t i, Problem problem, const std::string& why);
  /// Endpoint `i` says that it does not have block `number`. True: the block is gone there, and not only late.
  bool note_absent(std::size_t i, std::uint64_t number, jsonrpc::Absence absence);
  /// Quarantined, counted, logged, and the evidence is kept. `what`: the check that fails, in a word.
  void report_bad_data(std::size_t i, const std::string& what, const std::string& shown);
  /// On another branch than what is asked for, above what is final: the same for a moment, and it is no lie.
  void hold(std::size_t i, const std::string& shown);

  /// Whoever waits for a turn may have got one: after each message, as for Loop::run().
  void go_on();
  void stop() { stopping_->call(); }
  bool stopped() const { return stopping_->called(); }
  const CancelPtr& stopping() const { return stopping_; }

 private:
  /// An answer that was unpacked and read on a verifier.
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

  /// A request that is put to one endpoint, or to two.
  struct Race {
    struct Racer {
      std::size_t endpoint = 0;
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
  /// Another endpoint that may be asked the same at once.
  std::optional<Turn> second_of(const Slot& first, const Hedge& hedge);
  Task<std::optional<Share>> share_of(Line* line, std::size_t bytes, CancelPtr cancelled);
  void grant(Line& line);
  Task<Answered> ask(http::Request request, std::size_t calls, bool urgent, CancelPtr cancelled);
  /// A turn that did not have to wait.
  Turn take(const Slot& slot);
  Task<absl::StatusOr<Reply>> exchange(Turn turn, std::vector<jsonrpc::Call> calls, Allowance allowance,
                                       CancelPtr cancelled, Trouble* trouble);
  void count(std::size_t i, Result result);
  void wake_at(absl::Time at);

  const std::vector<EndpointConfig> configs_;
  /// What must not be shown, by endpoint.
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
  /// Something has changed that those who wait for a turn depend on.
  bool changed_ = false;
  absl::Time wake_at_ = absl::InfiniteFuture();
  HedgeAllowance hedges_;
  /// Apart, so that bulk work never keeps a poll waiting.
  Line bulk_{kBulkBytes}, polls_{kPollBytes};
};

}  // namespace towline::fetcher
