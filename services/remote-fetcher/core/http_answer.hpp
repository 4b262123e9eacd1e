// What an HTTP answer to JSON-RPC calls is worth. Providers and gateways say the same things in many ways
// (docs/endpoints.md); here they become one of five outcomes. Pure.
#pragma once
#include <absl/time/time.h>

#include <optional>
#include <string>

#include "libs/jsonrpc/jsonrpc.hpp"
#include "services/remote-fetcher/core/problem.hpp"

namespace towline::fetcher {

struct HttpAnswer {
  long status = 200;
  std::string body;
  std::optional<absl::Duration> retry_after;
};

struct Outcome {
  enum class Kind {
    answered,      // every call has a result or an error of its own
    gaps,          // some calls have, others were left out
    rate_limited,  // some calls or none have; the others were over a limit
    batch_failed,  // nothing; fewer calls at once may work
    failed,        // nothing
  } kind = Kind::failed;
  /// Calls without an answer are `missing`; a JSON-RPC error of the call itself is an answer.
  jsonrpc::Answers answers;
  std::size_t answered = 0;
  /// What the server asked for with a rate limit.
  std::optional<absl::Duration> wait;
  /// For the last two: what to tell.
  Trouble trouble;
};

/// `calls` > 1: a batch.
Outcome read_http_answer(const HttpAnswer& a, std::size_t calls);

}  // namespace towline::fetcher
