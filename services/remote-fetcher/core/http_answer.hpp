// Classifies an HTTP answer to JSON-RPC calls. Providers and gateways express the same conditions in many ways
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
    gaps,          // some calls have one, others were left out
    rate_limited,  // some calls or none have one; the others exceeded a limit
    batch_failed,  // no call has one; a smaller batch may work
    failed,        // no call has one
  } kind = Kind::failed;
  /// Unanswered calls are `missing`. A JSON-RPC error about the call itself is an answer.
  jsonrpc::Answers answers;
  std::size_t answered = 0;
  /// The calls of a batch were refused one by one because of a rate limit.
  bool by_call = false;
  /// The server is merely busy, for everybody: nothing can be learned about a rate.
  bool busy = false;
  /// The wait that the server asked for.
  std::optional<absl::Duration> wait;
  /// The reason, for batch_failed and failed.
  Trouble trouble;
};

/// `calls` > 1: a batch.
Outcome read_http_answer(const HttpAnswer& a, std::size_t calls);

}  // namespace towline::fetcher
