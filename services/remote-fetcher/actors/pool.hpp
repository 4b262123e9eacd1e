// All endpoints of this process and the calls to them. Thread safe: a caller takes a slot of an endpoint that may be
// asked now, makes its call, and what came of it is what the endpoint's state becomes.
#pragma once
#include <absl/status/statusor.h>

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
#include "services/remote-fetcher/core/endpoint.hpp"

namespace towline::fetcher {

struct EndpointConfig {
  std::string url;
  std::vector<std::string> headers;
  std::string ca_file;
  EndpointLimits limits;
  /// As http::Request::proxy.
  std::optional<std::string> proxy = std::nullopt;
};

/// Asked now and then, on any thread, by whatever waits for the caller.
using Cancelled = std::function<bool()>;

/// An answer to every call, or none at all: texts in it are presentable.
struct Reply {
  jsonrpc::Answers answers;
  /// Of the whole body.
  std::size_t bytes = 0;
};

class Pool {
 public:
  Pool(std::vector<EndpointConfig> endpoints, absl::Duration request_timeout, std::string evidence_file,
       Metrics& metrics);

  std::size_t size() const { return endpoints_.size(); }
  const std::string& name(std::size_t i) const { return names_[i]; }
  /// A copy of what is known of endpoint `i`.
  Endpoint get(std::size_t i) const;
  std::optional<std::size_t> find(const std::string& name) const;
  /// ELs that may be used for blocks, now or after a back-off.
  std::vector<std::size_t> usable_els() const;
  /// How many ELs can be asked for blocks right now.
  std::size_t ready_els() const;

  /// Waits for a slot of an EL outside `except` (choice.hpp says which). UNAVAILABLE: there is none, CANCELLED,
  /// DEADLINE_EXCEEDED.
  absl::StatusOr<std::size_t> take_el(const std::set<std::size_t>& except, absl::Time deadline,
                                      const Cancelled& cancelled, std::optional<std::size_t> prefer = {});
  /// A slot of endpoint `i` and no other; errors as above.
  absl::StatusOr<std::size_t> take(std::size_t i, absl::Time deadline, const Cancelled& cancelled);
  /// One batch to endpoint `i`, whose slot the caller has taken. RESOURCE_EXHAUSTED: too much at once, or answered with
  /// gaps: ask for less. UNAVAILABLE: it failed. CANCELLED: the request was broken off.
  absl::StatusOr<Reply> call(std::size_t i, const std::vector<jsonrpc::Call>& calls, const Cancelled& cancelled);
  /// Takes the slot itself, whatever bulk work is in flight: for polls and probes, which are paced already.
  absl::StatusOr<Reply> poll(std::size_t i, const std::vector<jsonrpc::Call>& calls);

  void update(std::size_t i, const std::function<void(Endpoint&)>& change);
  /// An answer that arrived is of no use: the endpoint backs off.
  void complain(std::size_t i, const std::string& why);
  /// Set aside, counted, logged, and the evidence is kept. `what`: the check that fails, in a word.
  void accuse(std::size_t i, const std::string& what, const std::string& evidence);
  /// On another branch than what is asked for, above what is final: the same for a moment, and it is no lie.
  void step_aside(std::size_t i, const std::string& evidence);

  void stop();
  bool stopped() const;

 private:
  http::Response send(std::size_t i, std::string body, std::size_t count_of_calls, const Cancelled& cancelled);
  void count(std::size_t i, const char* result);
  void keep_evidence(std::size_t i, const std::string& what, const std::string& evidence);
  const std::vector<EndpointConfig> configs_;
  std::vector<std::string> names_;
  /// What must not be shown, by endpoint.
  std::vector<std::vector<std::string>> secrets_;
  const absl::Duration timeout_;
  const std::string evidence_file_;
  Metrics& metrics_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
  bool stopped_ = false;
  std::mutex evidence_mutex_;
  http::Client http_;
};

}  // namespace towline::fetcher
