// URLs of JSON-RPC servers, their parts that may be shown, and the proxy for a request. Pure but for the check of a CA
// file.
#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace towline::http {

struct Url {
  std::string scheme;  // http, https, ws or wss
  std::string host;    // an IPv6 literal without its brackets
  std::uint16_t port = 0;
  std::string path_and_query;  // begins with '/'
  std::string user, password;  // decoded

  bool websocket() const { return scheme == "ws" || scheme == "wss"; }
  bool tls() const { return scheme == "https" || scheme == "wss"; }
  /// "host:port", with the brackets that an IPv6 literal needs.
  std::string authority() const;
};

/// Errors are INVALID_ARGUMENT and contain no part of the URL.
absl::StatusOr<Url> parse_url(const std::string& url);
/// OK for an http, https, ws or wss URL with a host.
absl::Status check_url(const std::string& url);
/// OK for an http or https URL with a host: for clients that cannot use WebSocket.
absl::Status check_http_url(const std::string& url);
/// "scheme://host:port": the part of a URL that may be shown.
std::string redact_url(const std::string& url);
/// The target of a redirect, fit to be shown: scheme, host, port and path, without query and user, and with "***" for
/// each word of the path that `url` contains too or that is long enough to be a key.
std::string redirect_target(const std::string& url, const std::string& location);

/// OK for the URL of a proxy (http, https, socks4, socks4a, socks5, socks5h), and for "": no proxy.
absl::Status check_proxy(const std::string& proxy);
/// The parts of an HTTP proxy's URL. The scheme may be missing, and the port (then 1080, as with curl). Errors contain
/// no part of the URL.
absl::StatusOr<Url> parse_http_proxy(const std::string& proxy);
/// Looks up an environment variable.
using Environment = std::function<std::optional<std::string>(const char*)>;
/// The proxy for `url`, "" for none. `wanted` as in Request::proxy. The rules are curl's: https_proxy or HTTPS_PROXY
/// for https and wss, http_proxy (lower case alone) for http and ws, else all_proxy or ALL_PROXY; no_proxy or NO_PROXY
/// lists hosts, domains and networks that need no proxy. Neither does this machine itself.
std::string proxy_for(const Url& url, const std::optional<std::string>& wanted, const Environment& env);
/// The environment of this process.
Environment process_environment();

/// OK for a PEM file with a certificate in it; else the message says what is wrong.
absl::Status check_ca_file(const std::string& path);
/// What an operator can do about a certificate that does not verify. `code`: OpenSSL's X509_V_ERR_...
std::string why_unverified(long code);

}  // namespace towline::http
