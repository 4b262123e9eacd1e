// All endpoints of this process and the calls to them. Thread safe: a caller takes a slot of an endpoint that may be asked now, makes
// its call, and what came of it is what the endpoint's state becomes.
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
};

using Cancelled = std::function<bool()>;

class Pool {
 public:
  Pool(std::vector<EndpointConfig> endpoints, absl::Duration request_timeout, std::string evidence_file, Metrics& metrics);

  std::size_t size() const { return endpoints_.size(); }
  const std::string& name(std::size_t i) const { return endpoints_[i]->name(); }
  /// A copy of what is known of endpoint `i`.
  Endpoint get(std::size_t i) const;
  std::optional<std::size_t> find(const std::string& name) const;
  /// ELs that may be used for blocks, now or after a back-off.
  std::vector<std::size_t> usable_els() const;

  /// Waits for a slot of an EL outside `except`, the least busy one first (`prefer` if it has one). UNAVAILABLE: there is none,
  /// CANCELLED, DEADLINE_EXCEEDED.
  absl::StatusOr<std::size_t> take_el(const std::set<std::size_t>& except, absl::Time deadline, const Cancelled& cancelled,
                                      std::optional<std::size_t> prefer = {});
  /// One batch to endpoint `i`, whose slot the caller has taken. RESOURCE_EXHAUSTED: too large, ask for less.
  absl::StatusOr<jsonrpc::Answers> call(std::size_t i, const std::vector<jsonrpc::Call>& calls, std::size_t* bytes = nullptr);
  /// Takes the slot itself, whatever the endpoint's back-off: for polls and probes, which are paced already.
  absl::StatusOr<jsonrpc::Answers> poll(std::size_t i, const std::vector<jsonrpc::Call>& calls);
  /// One request, not in a batch: for endpoints that take none.
  absl::StatusOr<jsonrpc::Answers> poll_single(std::size_t i, const jsonrpc::Call& call);

  void update(std::size_t i, const std::function<void(Endpoint&)>& change);
  /// Set aside, counted, logged, and the evidence is kept.
  void accuse(std::size_t i, const std::string& what, const std::string& evidence);

  void stop();
  bool stopped() const;

 private:
  absl::StatusOr<jsonrpc::Answers> send(std::size_t i, std::string body, std::size_t count, bool batch, std::size_t* bytes);
  void count(std::size_t i, const char* result);
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
  const std::vector<EndpointConfig> configs_;
  const absl::Duration timeout_;
  const std::string evidence_file_;
  Metrics& metrics_;
  bool stopped_ = false;
  http::Client http_;
};

}  // namespace towline::fetcher
