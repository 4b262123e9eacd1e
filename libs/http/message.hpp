// A request to a JSON-RPC server and its outcome, over HTTP or WebSocket.
#pragma once
#include <absl/status/status.h>
#include <absl/strings/string_view.h>
#include <absl/time/time.h>

#include <optional>
#include <string>
#include <vector>

namespace towline::http {

struct Request {
  std::string url;                   // http, https, ws or wss
  std::vector<std::string> headers;  // "Name: value"; the client sets Content-Type
  std::string body;
  /// Whether the answer may come packed. For a server on this host packing costs both sides more than it saves.
  bool gzip = true;
  absl::Duration timeout = absl::Seconds(10);
  /// The limit of the body, packed and unpacked. The body of a refusal (a status that is not 2xx) is cut there, which
  /// is no failure.
  std::size_t max_response_bytes = 64U << 20U;
  std::string ca_file;  // empty: the system's CAs
  /// "": no proxy. A URL: that proxy. nullopt: the environment's proxy. proxy_for() has the rules.
  std::optional<std::string> proxy = "";
};

/// Why no whole answer arrived.
enum class Failure { none, cancelled, timeout, too_large, encoding, name_unresolved, refused, lost, tls, proxy, other };

struct Response {
  /// OK: an answer arrived whole, whatever its status. UNAVAILABLE: refused, reset, no such host.
  /// DEADLINE_EXCEEDED: no whole answer within the timeout. RESOURCE_EXHAUSTED: larger than allowed. CANCELLED.
  /// Messages contain no part of the URL.
  absl::Status transport;
  /// The cause of `transport` for programs; `none` exactly when that is OK.
  Failure failure = Failure::none;
  /// The HTTP status. An answer over WebSocket has 200, a refused upgrade the server's status (401, 429).
  long status = 0;
  std::string body;
  /// How `body` is packed (Content-Encoding), in lower case; empty: not packed.
  std::string encoding;
  /// The Location header of a redirect, unchanged: it may contain the URL's secrets. Redirects are not followed.
  std::string location;
  std::optional<absl::Duration> retry_after;
  /// The server's time when it answered, in whole seconds (its Date header), and ours when the header came.
  std::optional<absl::Time> date;
  absl::Time date_read;
  absl::Duration elapsed;
};

/// An event of a subscription.
struct Push {
  enum class Kind {
    /// The subscription is set up: heads will follow.
    live,
    /// There may be a new head: a reason to poll. The server's notification itself proves nothing and is dropped.
    head,
    /// The subscription ended, or could not be set up, and is tried again by itself. `why` has the cause. The event may
    /// repeat.
    down,
  };
  Kind kind = Kind::down;
  Response why;
};

/// The response of either transport to a failure.
Response unavailable(Failure failure, absl::string_view why);
Response timed_out(absl::Duration timeout);
Response too_large(std::size_t limit);
Response cancelled(absl::string_view why);
Response connection_lost();
Response bad_ca_file();
Response no_tls();
/// The response if a proxy refuses with `status`.
Response refused_by_proxy(long status);

/// Copies the relevant headers of an answer into `response`.
void read_header(absl::string_view name, absl::string_view value, Response& response);
/// The value of a Retry-After header (seconds or an HTTP date), clamped to [0, 5 min].
std::optional<absl::Duration> parse_retry_after(const std::string& value, absl::Time now);

}  // namespace towline::http
