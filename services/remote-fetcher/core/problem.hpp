// Why an endpoint is not used, or not for everything: a stable word for programs, and what to do. Pure.
#pragma once
#include <absl/strings/string_view.h>

#include <string>

namespace towline::fetcher {

enum class Problem {
  none,
  not_asked,             // no answer yet
  unreachable,           // refused, reset, closed half-way
  timeout,               // no whole answer in time
  name_unresolved,       // DNS
  proxy_failed,          // the proxy in between, and not the source
  tls_failed,            // unknown CA, wrong name, or no TLS at all
  unauthorized,          // HTTP 401
  payment_required,      // HTTP 402
  forbidden,             // HTTP 403 for every method
  redirects,             // HTTP 3xx
  is_websocket,          // HTTP 426
  http_error,            // any other status without a JSON-RPC answer
  not_json_rpc,          // an answer that is none
  rate_limited,          // HTTP 429 and the like
  not_a_node,            // it answers neither eth_chainId nor optimism_syncStatus
  wrong_chain,           // another chain id or genesis
  syncing,               // the node says that it is still syncing
  pruned,                // it has no blocks below some height
  unknown_transactions,  // a transaction type that neither we nor its raw methods can give
  bad_data,              // headers or bodies that do not verify
  wrong_time,            // a block whose time is not what its number says
  clock_skew,            // a block of the future, by the clock here
  behind,                // its head stands still while others' move
  slow,                  // others answer several times sooner
  other_branch,          // another branch than the one that is asked for
  cordoned,              // by an operator
};

struct Trouble {
  Problem problem = Problem::none;
  /// For a person; presentable.
  std::string why;

  explicit operator bool() const { return problem != Problem::none; }
};

/// The reason code, "source_" and the enumerator's name; "" for none. docs/errors.md lists them all.
absl::string_view reason_code(Problem p);
/// What the operator can do about it, one sentence.
absl::string_view advice(Problem p);
/// Of an HTTP status that came without a JSON-RPC answer.
Problem problem_of_status(long status);

}  // namespace towline::fetcher
