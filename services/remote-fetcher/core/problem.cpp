#include "services/remote-fetcher/core/problem.hpp"

#include <array>
#include <utility>

namespace towline::fetcher {
namespace {

struct Text {
  Problem problem;
  absl::string_view code;
  absl::string_view advice;
};

constexpr std::array kTexts = {
    Text{Problem::none, "", ""},
    Text{Problem::not_asked, "source_not_asked", "Wait for the first answer."},
    Text{Problem::unreachable, "source_unreachable", "Is the node running, and are host and port right?"},
    Text{Problem::timeout, "source_timeout", "The node is slow or hangs: raise --request-timeout or use another one."},
    Text{Problem::name_unresolved, "source_name_unresolved", "Correct the host name of the URL, or DNS."},
    Text{Problem::proxy_failed, "source_proxy_failed",
         "Correct the proxy (proxy in the endpoints file, --proxy, or the environment), or its user and password."},
    Text{Problem::tls_failed, "source_tls_failed",
         "Give the CA as ca_file in the endpoints file, or correct the host name or port."},
    Text{Problem::unauthorized, "source_unauthorized", "The URL needs a valid key, or user name and password."},
    Text{Problem::payment_required, "source_payment_required",
         "The plan's credit is used up: wait, pay, or add another source."},
    Text{Problem::forbidden, "source_forbidden",
         "The provider blocks this host or key: check the key and its allow list, or use another source."},
    Text{Problem::redirects, "source_redirects",
         "Use the target's URL: redirects are not followed, they would leak keys."},
    Text{Problem::is_websocket, "source_is_websocket", "Give the URL as ws:// or wss://, or the node's HTTP port."},
    Text{Problem::http_error, "source_http_error", "Check the URL's path, and the provider's status page."},
    Text{Problem::not_json_rpc, "source_not_json_rpc",
         "The URL is no JSON-RPC endpoint, or a proxy spoils its answers."},
    Text{Problem::rate_limited, "source_rate_limited",
         "Lower max_rps or max_batch of this endpoint, add a source, or take a larger plan."},
    Text{Problem::not_a_node, "source_not_a_node",
         "The URL must lead to an execution client (eth_*) or a consensus client (optimism_*)."},
    Text{Problem::wrong_chain, "source_wrong_chain",
         "Correct the URL, --network or --rollup-config; it is probed again each 5 minutes."},
    Text{Problem::syncing, "source_syncing", "Wait until it has synced, or use another source."},
    Text{Problem::pruned, "source_pruned",
         "Add a source that keeps those blocks, or start the local client from a snapshot above them."},
    Text{Problem::unknown_transactions, "source_unknown_transactions",
         "Use a source with debug_getRawBlock or eth_getRawTransactionByBlockHashAndIndex."},
    Text{Problem::bad_data, "source_bad_data",
         "Its answers do not verify: use another source; the evidence file has them."},
    Text{
        Problem::wrong_time, "source_wrong_time",
        "Compare the rollup config's genesis time and block time with the chain's; if they are right the source lies."},
    Text{Problem::clock_skew, "clock_skew",
         "Set the clock here (timedatectl, NTP). If it is right, the source names blocks that nobody can have made."},
    Text{Problem::behind, "source_behind", "Look at that node; it is used again when its head moves."},
    Text{Problem::slow, "source_slow",
         "Look at that node and the way to it; it is asked more again when it answers sooner."},
    Text{Problem::other_branch, "source_other_branch",
         "Wait: it may be behind. If it stays so, ask a third source who is right."},
    Text{Problem::cordoned, "source_cordoned", "`towline uncordon NAME` puts it back into use."},
};

constexpr bool in_order() {
  for (std::size_t i = 0; i < kTexts.size(); ++i) {
    if (static_cast<std::size_t>(kTexts[i].problem) != i) return false;
  }
  return kTexts.size() == static_cast<std::size_t>(Problem::cordoned) + 1;
}
static_assert(in_order(), "one line for each problem, in the order of the enum");

}  // namespace

absl::string_view reason_code(Problem p) { return kTexts[static_cast<std::size_t>(p)].code; }

absl::string_view advice(Problem p) { return kTexts[static_cast<std::size_t>(p)].advice; }

Problem problem_of_status(long status) {
  if (status >= 300 && status < 400) return Problem::redirects;
  switch (status) {
    case 401: return Problem::unauthorized;
    case 402: return Problem::payment_required;
    case 403: return Problem::forbidden;
    case 426: return Problem::is_websocket;
    case 429: return Problem::rate_limited;
    case 200: return Problem::not_json_rpc;
    default: return Problem::http_error;
  }
}

}  // namespace towline::fetcher
