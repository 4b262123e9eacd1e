// All endpoints of this process and the calls to them. Thread safe: a caller takes a slot of an endpoint that may be
// asked now, makes its call, and what came of it is what the endpoint's state becomes.
#pragma once
#include <absl/status/statusor.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "libs/http/client.hpp"
#include "libs/jsonrpc/jsonrpc.hpp"
#include "libs/telemetry/metrics.hpp"
#include "services/remote-fetcher/actors/budget.hpp"
#include "services/remote-fetcher/core/allowance.hpp"
#include "services/remote-fetcher/core/endpoint.hpp"
#include "services/remote-fetcher/core/vote.hpp"

namespace towline::fetcher {

struct EndpointConfig {
  std::string url;
  std::vector<std::string> headers;
  std::string ca_file;
  EndpointLimits limits;
  /// As http::Request::proxy.
  std::optional<std::string> proxy = std::nullopt;
  /// The pool names it. Group "": trust_group_of its host.
  Voter voter = {};
};

/// Asked now and then, on any thread, by whatever waits for the caller.
using Cancelled = std::function<bool()>;

/// How long bulk work waits while no source answers anything.
inline constexpr absl::Duration kPatience = absl::Seconds(20);

/// Answers; a call that was left out is `missing`: ask again. Texts in it are presentable.
struct Reply {
  jsonrpc::Answers answers;
  /// Of the whole body.
  std::size_t bytes = 0;
  Budget::Share share;
};

/// Appends to a file that its owner alone can read.
absl::Status append_private(const std::string& path, absl::string_view text);

/// Leave to make one request of `calls` calls at most.
struct Turn {
  std::size_t endpoint;
  Work work;
  std::size_t calls;
};

class Pool {
 public:
  Pool(std::vector<EndpointConfig> endpoints, absl::Duration request_timeout, std::string evidence_file,
       Metrics& metrics);

  std::size_t size() const { return endpoints_.size(); }
  const std::string& name(std::size_t i) const { return names_[i]; }
  const std::vector<Voter>& voters() const { return voters_; }
  /// A copy of what is known of endpoint `i`.
  Endpoint get(std::size_t i) const;
  std::optional<std::size_t> find(const std::string& name) const;
  /// ELs that may be used for blocks, now or after a back-off.
  std::vector<std::size_t> usable_els() const;
  /// How many ELs can be asked for blocks right now.
  std::size_t ready_els() const;

  /// A turn with an EL outside `except` that has block `number` (choice.hpp says which), for at most `wanted` calls of
  /// bulk work `w`: waits for it. The caller makes its call(). UNAVAILABLE: there is none, CANCELLED,
  /// DEADLINE_EXCEEDED: out_of_patience(since).
  absl::StatusOr<Turn> take_el(Work w, std::size_t wanted, const std::set<std::size_t>& except,
                               std::optional<std::uint64_t> number, absl::Time since, const Cancelled& cancelled,
                               std::optional<std::size_t> prefer = {});
  /// A turn with endpoint `i` and no other; errors as above.
  absl::StatusOr<Turn> take(std::size_t i, Work w, std::size_t wanted, absl::Time since, const Cancelled& cancelled);
  /// No source has answered any bulk request for kPatience, nor was one asked before `since`.
  bool out_of_patience(absl::Time since) const;
  /// The one request of a turn, with as many calls as it has. RESOURCE_EXHAUSTED: no answer, and fewer calls may get
  /// one. OUT_OF_RANGE: larger than allowed, and more may be asked for. UNAVAILABLE: it failed, was over a rate limit,
  /// or so large that the endpoint is charged with it. CANCELLED: broken off. The reply holds a part of what all
  /// answers may have together: no other request may be waited for meanwhile.
  absl::StatusOr<Reply> call(const Turn& turn, const std::vector<jsonrpc::Call>& calls, const Allowance& allowance,
                             const Cancelled& cancelled);
  /// Calls that the next poll of endpoint `i` may hold in one request.
  std::size_t poll_batch(std::size_t i) const;
  /// Takes no slot: for polls and probes, which are paced already. Errors as above; `trouble` says why for
  /// Endpoint::on_poll().
  absl::StatusOr<Reply> poll(std::size_t i, const std::vector<jsonrpc::Call>& calls, Asked what, Trouble& trouble);

  /// Where endpoint `i` can tell of new heads by itself (a ws or wss URL) `look` runs for each, on another thread.
  /// False: it cannot.
  bool watch_new_heads(std::size_t i, const std::function<void()>& look);

  void update(std::size_t i, const std::function<void(Endpoint&)>& change);
  /// An answer that arrived is of no use: the endpoint backs off.
  void useless(std::size_t i, Problem problem, const std::string& why);
  /// Endpoint `i` says that it does not have block `number`. True: the block is gone there, and not only late.
  bool note_absent(std::size_t i, std::uint64_t number, jsonrpc::Absence absence);
  /// Quarantined, counted, logged, and the evidence is kept. `what`: the check that fails, in a word.
  void report_bad_data(std::size_t i, const std::string& what, const std::string& evidence);
  /// On another branch than what is asked for, above what is final: the same for a moment, and it is no lie.
  void hold(std::size_t i, const std::string& evidence);

  /// Why endpoints give no heads, or no blocks: of the first that has a trouble; nullopt if none has.
  std::optional<contract::SourceTrouble> trouble(bool (*concerned)(contract::EndpointKind)) const;
  /// No probe has ended yet: nothing can be said of any endpoint.
  bool nothing_asked_yet() const;
  /// Of the execution endpoints that are heard, or were not asked yet, most serve what does not verify.
  bool most_serve_bad_data() const;
  /// Whether the last range that was asked for could be served.
  void note_blocks_served(bool served) { blocks_served_ = served; }
  /// Set while it could not.
  std::optional<contract::SourceTrouble> blocks_trouble() const;

  void stop();
  /// For a watchdog: see http::Client.
  void ask_turn(std::function<void()> turn) { http_.ask_turn(std::move(turn)); }
  bool stopped() const;

 private:
  http::Request request_to(std::size_t i) const;
  absl::StatusOr<Reply> exchange(std::size_t i, Work w, const std::vector<jsonrpc::Call>& calls,
                                 const Allowance& allowance, const Cancelled& cancelled, Trouble& trouble);
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
    Metrics::Counter received, integrity_failures, other_branch;
  };
  void count(std::size_t i, Result result);
  void keep_evidence(std::size_t i, const std::string& what, const std::string& evidence);
  const std::vector<EndpointConfig> configs_;
  std::vector<std::string> names_;
  std::vector<Voter> voters_;
  /// What must not be shown, by endpoint.
  std::vector<std::vector<std::string>> secrets_;
  const absl::Duration timeout_;
  const std::string evidence_file_;
  std::vector<Counters> counters_;
  Metrics& metrics_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
  bool stopped_ = false;
  absl::Time progress_ = absl::InfinitePast();
  std::atomic<bool> blocks_served_{true};
  std::mutex evidence_mutex_;
  /// Apart, so that bulk work never keeps a poll waiting.
  Budget bulk_{kBulkBytes}, polls_{kPollBytes};
  http::Client http_;
};

}  // namespace towline::fetcher
