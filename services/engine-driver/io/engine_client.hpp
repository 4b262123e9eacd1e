// Blocking calls to one EL: the Engine API with its token, ordinary reads, and the optional admin RPC. Thread safe: a
// slow newPayload holds no read up, each call has a connection of its own.
#pragma once
#include <absl/status/statusor.h>
#include <absl/time/time.h>

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

  /// `body` is a complete JSON-RPC request for engine_newPayloadV*.
  EngineAnswer new_payload(std::string body);
  EngineAnswer forkchoice_updated(const contract::Forkchoice& f);
  /// Has the EL build a block on `parent`, without moving its head: the result of engine_getPayload as JSON.
  absl::StatusOr<std::string> build(const eth::BlockId& parent, const TwinPlan& plan);

  /// UNAVAILABLE: not reachable; UNAUTHENTICATED: 401 or 403; otherwise the EL's own error.
  absl::StatusOr<std::uint64_t> chain_id();
  /// A canonical block; nullopt where the EL has none.
  absl::StatusOr<std::optional<eth::BlockRef>> block_by_number(std::uint64_t number);
  absl::StatusOr<std::vector<eth::BlockRef>> blocks_by_number(const std::vector<std::uint64_t>& numbers);
  /// latest, safe and finalized, asked for at the same time.
  absl::StatusOr<contract::Labels> labels();
  /// "Geth/v1.2.3", or empty where the EL does not say.
  std::string client_version();
  /// The Engine API methods that the EL says it has; empty where it does not say. FAILED_PRECONDITION: it has none, it
  /// is an ordinary RPC.
  absl::StatusOr<std::vector<std::string>> capabilities();
  /// eth_syncing. nullopt: it does not say.
  std::optional<ElSyncing> syncing();
  /// net_peerCount through the admin RPC: the Engine API of op-geth has none. nullopt: there is no such RPC, or it does
  /// not say.
  std::optional<std::uint32_t> peer_count();
  bool can_rewind() const { return !options_.admin_url.empty(); }
  /// debug_setHead through the admin RPC. UNAVAILABLE or DEADLINE_EXCEEDED: nothing is known of what came of it.
  absl::Status set_head(std::uint64_t number);

  /// This process ends: what is in flight has half of `grace` to be answered, what is asked from now on has the whole
  /// of it, and later every call ends at once with CANCELLED. Asked again, the shorter time counts.
  void stop(absl::Duration grace);
  /// For a watchdog: see http::Client.
  void ask_turn(std::function<void()> turn) { http_.ask_turn(std::move(turn)); }

 private:
  struct Reply;
  /// A read, of this many calls: one that is lost is asked once more.
  Reply ask(const std::string& body, std::size_t calls, bool batch);
  Reply ask(const std::string& method, const std::string& params);
  /// One request, with a token if it goes to the Engine API.
  Reply send(const std::string& url, const std::string& body, std::size_t calls, bool batch, absl::Duration timeout);
  http::Response post(http::Request request);
  http::Request make_request(const std::string& url, std::string body, bool token, absl::Duration timeout) const;
  Metrics::Counter answers(Call call, Reaction r);
  EngineAnswer write(const char* method, std::string body, const char* status_field);
  absl::StatusOr<std::optional<eth::BlockRef>> block(const std::string& method, const std::string& params);
  /// One call that is sent once: it may change something there. An error answer is FAILED_PRECONDITION.
  absl::StatusOr<Reply> send_once(const std::string& url, const std::string& method, const std::string& params);
  static absl::Status result_of(const std::string& method, const Reply& r);

  const Options options_;
  Metrics& metrics_;
  struct Stop {
    absl::Time at = absl::InfiniteFuture(), by = absl::InfiniteFuture();
  };
  std::mutex mutex_;
  Stop stop_;
  http::Client http_;
};

}  // namespace towline::driver
