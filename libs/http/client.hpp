// HTTP POST for JSON-RPC: one thread, many requests at once, connections kept alive. HTTP/1.1 over plain text, HTTP/2
// where TLS negotiates it (libcurl 7.88 cannot reuse a plain-text HTTP/2 connection).
#pragma once
#include <absl/status/status.h>
#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace towline::http {

struct Request {
  std::string url;
  std::vector<std::string> headers;  // "Name: value"; content-type is set already
  std::string body;
  absl::Duration timeout = absl::Seconds(10);
  std::size_t max_response_bytes = 64U << 20U;
  std::string ca_file;  // empty: the system's
};

/// Why no whole HTTP answer arrived.
enum class Failure { none, cancelled, timeout, too_large, name_unresolved, refused, lost, tls, other };

struct Response {
  /// OK: an HTTP answer arrived whole, whatever its status. UNAVAILABLE: refused, reset, no such host.
  /// DEADLINE_EXCEEDED: the timeout, a slow drip included. RESOURCE_EXHAUSTED: larger than allowed. CANCELLED. Messages
  /// hold no part of the URL.
  absl::Status transport;
  /// The cause in `transport`, for programs; none exactly when that is OK.
  Failure failure = Failure::none;
  long status = 0;
  std::string body;
  /// The Location header of a redirect (redirects are not followed), as it came: it may hold the URL's secrets.
  std::string location;
  std::optional<absl::Duration> retry_after;
  /// The server's clock when it answered, in whole seconds (its Date header), and ours when the header came.
  std::optional<absl::Time> date;
  absl::Time date_read;
  absl::Duration elapsed;
};

class Client {
 public:
  Client();
  /// Cancels what is in flight (its callbacks run) and joins the thread.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// `done` runs exactly once, on the client's thread: hand over and return.
  std::uint64_t post(Request request, std::function<void(Response)> done);
  void cancel(std::uint64_t id);
  /// Cancels everything in flight; what is posted later is cancelled at once.
  void cancel_all();

  /// post() and wait. Not from a callback.
  Response post_and_wait(Request request);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// OK for an http or https URL with a host; else INVALID_ARGUMENT, without the URL's secrets.
absl::Status check_url(const std::string& url);
/// "scheme://host:port": what may be shown of a URL.
std::string redact_url(const std::string& url);
/// The value of a Retry-After header (seconds or an HTTP date), clamped to [0, 5 min].
std::optional<absl::Duration> parse_retry_after(const std::string& value, absl::Time now);

}  // namespace towline::http
