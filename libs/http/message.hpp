// What is asked of a JSON-RPC server and what comes of it, whatever carries it.
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
  std::vector<std::string> headers;  // "Name: value"; content-type is set already
  std::string body;
  absl::Duration timeout = absl::Seconds(10);
  /// Of the body, packed or not. The body of a refusal (a status that is not 2xx) is cut there, and no failure.
  std::size_t max_response_bytes = 64U << 20U;
  std::string ca_file;  // empty: the system's
  /// "": no proxy. A URL: that one. nullopt: what the environment says. proxy_for() has the rules.
  std::optional<std::string> proxy = "";
};

/// Why no whole answer arrived.
enum class Failure { none, cancelled, timeout, too_large, encoding, name_unresolved, refused, lost, tls, proxy, other };

struct Response {
  /// OK: an answer arrived whole, whatever its status. UNAVAILABLE: refused, reset, no such host.
  /// DEADLINE_EXCEEDED: the timeout, a slow drip included. RESOURCE_EXHAUSTED: larger than allowed. CANCELLED. Messages
  /// hold no part of the URL.
  absl::Status transport;
  /// The cause in `transport`, for programs; none exactly when that is OK.
  Failure failure = Failure::none;
  /// Of HTTP. An answer over WebSocket has 200; a refused upgrade has what the server said (401, 429).
  long status = 0;
  std::string body;
  /// How `body` is packed (Content-Encoding), in lower case; empty: it is not.
  std::string encoding;
  /// The Location header of a redirect (redirects are not followed), as it came: it may hold the URL's secrets.
  std::string location;
  std::optional<absl::Duration> retry_after;
  /// The server's clock when it answered, in whole seconds (its Date header), and ours when the header came.
  std::optional<absl::Time> date;
  absl::Time date_read;
  absl::Duration elapsed;
};

/// What becomes of a subscription.
struct Push {
  enum class Kind {
    /// It is set up: heads will follow.
    live,
    /// There may be a new head: time to look. What the server said of it is not kept, for it proves nothing.
    head,
    /// It ended, or could not be set up, and will be tried again by itself. `why` says more; it may be told again.
    down,
  };
  Kind kind = Kind::down;
  Response why;
};

/// What both transports say of the same failure.
Response unavailable(Failure failure, absl::string_view why);
Response timed_out(absl::Duration timeout);
Response too_large(std::size_t limit);
Response cancelled(absl::string_view why);
Response connection_lost();
Response bad_ca_file();
Response no_tls();
/// The answer of a proxy that lets nothing through.
Response refused_by_proxy(long status);

/// Takes over what is of interest of an answer's header.
void read_header(absl::string_view name, absl::string_view value, Response& response);
/// The value of a Retry-After header (seconds or an HTTP date), clamped to [0, 5 min].
std::optional<absl::Duration> parse_retry_after(const std::string& value, absl::Time now);

}  // namespace towline::http
