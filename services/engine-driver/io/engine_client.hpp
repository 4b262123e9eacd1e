// Calls to one EL: the Engine API with its token, ordinary reads, and the optional admin RPC. All of them block but
// send_new_payload(). Thread-safe: each call has a connection of its own, so a slow newPayload does not delay reads.
#pragma once
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <array>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "libs/http/client.hpp"
#include "libs/telemetry/metrics.hpp"
#include "services/engine-driver/core/el_syncing.hpp"
#include "services/engine-driver/core/engine_answer.hpp"
#include "services/engine-driver/core/gate.hpp"
#include "services/engine-driver/core/import_plan.hpp"
#include "services/engine-driver/core/jwt.hpp"
#include "services/engine-driver/core/twin.hpp"

namespace towline::driver {

class EngineClient {
 public:
  struct Options {
    std::string url;
    std::optional<JwtSecret> jwt;
    std::string admin_url;  // empty: none
    absl::Duration timeout;
  };
  EngineClient(Options options, Metrics& metrics);

  /// A call whose answer no thread waits for.
  struct Sent {
    std::uint64_t id = 0;
    absl::Time begun;
  };
  /// `body` is a complete JSON-RPC request for engine_newPayloadV*. `done` runs exactly once, on a thread of the HTTP
  /// client or before this returns: hand over and return.
  Sent send_new_payload(std::string body, std::function<void(http::Response)> done);
  EngineAnswer new_payload_answer(const Sent& sent, http::Response response);
  /// The process stops, and the time for this call is over (see stop()): cancel() it.
  bool is_over(const Sent& sent) { return is_over(sent.begun); }
  void cancel(const Sent& sent) { http_.cancel(sent.id); }
  EngineAnswer forkchoice_updated(const contract::Forkchoice& f);
  /// Has the EL build a block on `parent` without moving its head. Returns the result of engine_getPayload as JSON.
  absl::StatusOr<std::string> build(const eth::BlockId& parent, const TwinPlan& plan);

  /// Errors of this and the other reads: UNAVAILABLE (not reachable, or an error answer), DEADLINE_EXCEEDED,
  /// UNAUTHENTICATED (HTTP 401 or 403), CANCELLED (after stop()).
  absl::StatusOr<std::uint64_t> chain_id();
  /// The canonical block; nullopt if the EL has none at that height.
  absl::StatusOr<std::optional<eth::BlockRef>> block_by_number(std::uint64_t number);
  absl::StatusOr<std::vector<eth::BlockRef>> blocks_by_number(const std::vector<std::uint64_t>& numbers);
  /// latest, safe and finalized, from one batch request. UNAVAILABLE if the EL has no latest block.
  absl::StatusOr<contract::Labels> labels();
  /// "Geth/v1.2.3", or empty if the EL does not say.
  std::string client_version();
  /// The Engine API methods that the EL lists; empty if it lists none. FAILED_PRECONDITION: the endpoint is an ordinary
  /// RPC without the Engine API.
  absl::StatusOr<std::vector<std::string>> capabilities();
  /// eth_syncing; nullopt if the EL does not answer it.
  std::optional<ElSyncing> syncing();
  /// net_peerCount through the admin RPC, since op-geth's Engine API port does not serve it. nullopt: no admin RPC, or
  /// no answer.
  std::optional<std::uint32_t> peer_count();
  bool can_rewind() const { return !options_.admin_url.empty(); }
  /// debug_setHead through the admin RPC. UNAVAILABLE or DEADLINE_EXCEEDED: the outcome is unknown.
  absl::Status set_head(std::uint64_t number);

  /// The process stops: pending calls get half of `grace` to be answered, later calls get the whole of it, and after
  /// that every call ends at once with CANCELLED. If called again, the shorter time counts.
  void stop(absl::Duration grace);
  /// For the watchdog, see http::Client.
  void ask_turn(std::function<void()> turn) { http_.ask_turn(std::move(turn)); }

 private:
  struct Reply;
  /// A read of `calls` calls; repeated once if the connection fails.
  Reply ask(const std::string& body, std::size_t calls, bool batch);
  Reply ask(const std::string& method, const std::string& params);
  /// One request, with a token if it goes to the Engine API.
  Reply send(const std::string& url, const std::string& body, std::size_t calls, bool batch, absl::Duration timeout);
  http::Response post(http::Request request);
  bool is_over(absl::Time begun);
  http::Request make_request(const std::string& url, std::string body, bool token, absl::Duration timeout) const;
  /// The answer to a write that was sent at `begun`, which is measured and counted.
  EngineAnswer answer_of(Call call, absl::Time begun, const http::Response& r);
  absl::StatusOr<std::optional<eth::BlockRef>> block(const std::string& method, const std::string& params);
  /// A call that may change something in the EL, so it is never repeated. An error answer is FAILED_PRECONDITION.
  absl::StatusOr<Reply> send_once(const std::string& url, const std::string& method, const std::string& params);
  static absl::Status result_of(const std::string& method, const Reply& r);

  const Options options_;
  /// Metrics of a kind of write, kept here because each block counts; `answers` by Reaction.
  struct Write {
    Metrics::Histogram seconds;
    std::vector<Metrics::Counter> answers;
  };
  std::array<Write, 2> writes_;  // by Call
  struct Stop {
    absl::Time at = absl::InfiniteFuture(), by = absl::InfiniteFuture();
  };
  std::mutex mutex_;
  Stop stop_;
  http::Client http_;
};

}  // namespace towline::driver
