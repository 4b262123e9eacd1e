// Why an endpoint is not used, or not for everything: a stable code for programs, and advice for operators. Pure.
#pragma once
#include <absl/strings/string_view.h>

#include <string>

namespace towline::fetcher {

enum class Problem {
  none,
  not_asked,             // no answer yet
  unreachable,           // refused, reset, closed half-way
  timeout,               // no complete answer in time
  name_unresolved,       // DNS
  proxy_failed,          // the proxy on the way, not the source
  tls_failed,            // unknown CA, wrong name, or no TLS at all
  unauthorized,          // HTTP 401
  payment_required,      // HTTP 402
  forbidden,             // HTTP 403 for every method
  redirects,             // HTTP 3xx
  is_websocket,          // HTTP 426
  http_error,            // any other status without a JSON-RPC answer
  not_json_rpc,          // an answer that is not JSON-RPC
  rate_limited,          // HTTP 429 and equivalents
  not_a_node,            // answers neither eth_chainId nor optimism_syncStatus
  wrong_chain,           // another chain id or genesis
  syncing,               // the node reports that it is syncing
  pruned,                // has no blocks below some height
  unknown_transactions,  // a transaction of a type unknown here, and no raw form of it
  bad_data,              // headers or bodies that do not verify
  wrong_time,            // a block whose time does not match its number
  clock_skew,            // a block from the future, by the clock here
  behind,                // its head stands still while others move
  slow,                  // others answer several times faster
  other_branch,          // on another branch than the requested one
  cordoned,              // by an operator
};

struct Trouble {
  Problem problem = Problem::none;
  /// For display; free of secrets.
  std::string why;

  explicit operator bool() const { return problem != Problem::none; }
};

/// The reason code: "source_" and the enumerator's name, except for clock_skew; "" for none.
/// docs/errors.md lists all.
absl::string_view reason_code(Problem p);
/// What the operator can do, in one or two sentences.
absl::string_view advice(Problem p);
/// The problem of an HTTP status without a JSON-RPC answer.
Problem problem_of_status(long status);

}  // namespace towline::fetcher
