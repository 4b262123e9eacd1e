#include "libs/http/url.hpp"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>
#include <curl/curl.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <vector>

#include "libs/base/status.hpp"

namespace towline::http {
namespace {

namespace ip = boost::asio::ip;
using Handle = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;

/// Shorter words ("v1", "rpc") count as no secrets.
constexpr std::size_t kShortestSecret = 6;
/// A longer word of a path may be an unknown key.
constexpr std::size_t kLongestShown = 20;
constexpr std::size_t kLongestTarget = 200;

Handle new_handle() { return {curl_url(), curl_url_cleanup}; }

std::string part(const Handle& u, CURLUPart p, unsigned flags = 0) {
  char* text = nullptr;
  std::string out;
  if (curl_url_get(u.get(), p, &text, flags) == CURLUE_OK) out = text;
  curl_free(text);
  return out;
}

std::optional<ip::address> to_ip(const std::string& host) {
  boost::system::error_code ec;
  const auto address = ip::make_address(host, ec);
  if (ec) return std::nullopt;
  if (address.is_v6() && address.to_v6().is_v4_mapped()) return ip::make_address_v4(ip::v4_mapped, address.to_v6());
  return address;
}

bool is_this_machine(const std::string& host) {
  if (const auto a = to_ip(host)) return a->is_loopback() || a->is_unspecified();
  return absl::EqualsIgnoreCase(host, "localhost") || absl::EndsWithIgnoreCase(host, ".localhost");
}

bool in_network(const ip::address& a, const std::string& network) {
  boost::system::error_code ec;
  if (a.is_v4()) {
    const auto n = ip::make_network_v4(network, ec);
    return !ec && ip::make_network_v4(a.to_v4(), n.prefix_length()).canonical() == n.canonical();
  }
  const auto n = ip::make_network_v6(network, ec);
  return !ec && ip::make_network_v6(a.to_v6(), n.prefix_length()).canonical() == n.canonical();
}

bool is_exempt(const std::string& host, absl::string_view no_proxy) {
  const auto address = to_ip(host);
  for (absl::string_view entry : absl::StrSplit(no_proxy, absl::ByAnyChar(", \t"), absl::SkipEmpty())) {
    if (entry == "*") return true;
    if (address) {
      if (absl::ConsumePrefix(&entry, "[")) absl::ConsumeSuffix(&entry, "]");
      const std::string text{entry};
      if (to_ip(text) == address || in_network(*address, text)) return true;
      continue;
    }
    absl::ConsumePrefix(&entry, ".");
    if (absl::EqualsIgnoreCase(host, entry) || absl::EndsWithIgnoreCase(host, absl::StrCat(".", entry))) return true;
  }
  return false;
}

}  // namespace

std::string Url::authority() const {
  const bool v6 = host.find(':') != std::string::npos;
  return absl::StrCat(v6 ? "[" : "", host, v6 ? "]" : "", ":", port);
}

absl::StatusOr<Url> parse_url(const std::string& url) {
  const auto colon = url.find("://");
  Url out;
  if (colon != std::string::npos) out.scheme = absl::AsciiStrToLower(url.substr(0, colon));
  if (out.scheme != "http" && out.scheme != "https" && !out.websocket())
    return absl::InvalidArgumentError("not an http://, https://, ws:// or wss:// URL");
  // This libcurl knows no WebSocket, so it parses such URLs as HTTP.
  const Handle u = new_handle();
  const std::string as_http = absl::StrCat(out.tls() ? "https" : "http", url.substr(colon));
  if (curl_url_set(u.get(), CURLUPART_URL, as_http.c_str(), 0) != CURLUE_OK)
    return absl::InvalidArgumentError("not a well-formed URL");
  if (!part(u, CURLUPART_ZONEID).empty())
    return absl::InvalidArgumentError(
        "an IPv6 address with a zone id (%eth0) names no machine elsewhere; use an address without one, or a host "
        "name");
  out.host = part(u, CURLUPART_HOST);
  if (absl::StartsWith(out.host, "[")) out.host = out.host.substr(1, out.host.size() - 2);
  int port = 0;
  if (!absl::SimpleAtoi(part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT), &port) || port < 1 || port > 65535)
    return absl::InvalidArgumentError("the port of the URL is not between 1 and 65535");
  out.port = static_cast<std::uint16_t>(port);
  out.path_and_query = part(u, CURLUPART_PATH);
  if (const auto query = part(u, CURLUPART_QUERY); !query.empty()) absl::StrAppend(&out.path_and_query, "?", query);
  out.user = part(u, CURLUPART_USER, CURLU_URLDECODE);
  out.password = part(u, CURLUPART_PASSWORD, CURLU_URLDECODE);
  return out;
}

absl::Status check_url(const std::string& url) { return parse_url(url).status(); }

absl::Status check_http_url(const std::string& url) {
  TOWLINE_ASSIGN_OR_RETURN(const auto parsed, parse_url(url));
  if (parsed.websocket()) return absl::InvalidArgumentError("not an http:// or https:// URL");
  return absl::OkStatus();
}

std::string redact_url(const std::string& url) {
  const auto parsed = parse_url(url);
  if (!parsed.ok()) return "(malformed URL)";
  return absl::StrCat(parsed->scheme, "://", parsed->authority());
}

std::string redirect_target(const std::string& url, const std::string& location) {
  const auto from = parse_url(url);
  // libcurl resolves a relative URL only with a scheme that it knows.
  const Handle u = new_handle();
  if (!from.ok() ||
      curl_url_set(u.get(), CURLUPART_URL,
                   absl::StrCat(from->tls() ? "https" : "http", url.substr(url.find("://"))).c_str(), 0) != CURLUE_OK ||
      curl_url_set(u.get(), CURLUPART_URL, location.c_str(), CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
    return "(malformed URL)";
  const std::string to = part(u, CURLUPART_URL);
  const auto target = parse_url(to);
  if (!target.ok()) return "(no URL of a JSON-RPC server)";
  const auto scheme = [&]() -> std::string {
    if (!from->websocket() || target->websocket()) return target->scheme;
    return target->tls() ? "wss" : "ws";
  }();
  std::vector<std::string> secrets;
  for (const absl::string_view word : absl::StrSplit(
           absl::StrCat(from->path_and_query, "/", from->user, "/", from->password), absl::ByAnyChar("/?&=:@ "))) {
    if (word.size() >= kShortestSecret) secrets.emplace_back(word);
  }
  std::sort(secrets.begin(), secrets.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
  const std::string whole_path = target->path_and_query.substr(0, target->path_and_query.find('?'));
  std::vector<std::string> words;
  for (const absl::string_view word : absl::StrSplit(whole_path, '/')) {
    std::string shown{word.size() > kLongestShown ? "***" : word};
    for (const auto& s : secrets) shown = absl::StrReplaceAll(shown, {{s, "***"}});
    words.push_back(std::move(shown));
  }
  std::string out = absl::StrCat(scheme, "://", target->authority(), absl::StrJoin(words, "/"));
  if (out.size() > kLongestTarget) out = out.substr(0, kLongestTarget) + "...";
  for (char& c : out) {
    if (!absl::ascii_isprint(static_cast<unsigned char>(c))) c = '?';
  }
  return out;
}

absl::Status check_proxy(const std::string& proxy) {
  if (proxy.empty()) return absl::OkStatus();
  const Handle u = new_handle();
  if (!absl::StrContains(proxy, "://") ||
      curl_url_set(u.get(), CURLUPART_URL, proxy.c_str(), CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
    return absl::InvalidArgumentError("not a well-formed URL; a proxy is http://host:port or socks5h://host:port");
  const std::string scheme = part(u, CURLUPART_SCHEME);
  for (const char* known : {"http", "https", "socks4", "socks4a", "socks5", "socks5h"}) {
    if (scheme == known) return absl::OkStatus();
  }
  return absl::InvalidArgumentError("not the URL of a proxy: http, https, socks5 and socks5h are");
}

absl::StatusOr<Url> parse_http_proxy(const std::string& proxy) {
  const std::string with_scheme = absl::StrContains(proxy, "://") ? proxy : absl::StrCat("http://", proxy);
  if (!absl::StartsWithIgnoreCase(with_scheme, "http://"))
    return absl::InvalidArgumentError("WebSocket goes through an HTTP proxy (http://host:port) alone");
  auto url = parse_url(with_scheme);
  if (!url.ok()) return absl::InvalidArgumentError("the URL of the proxy is not well-formed");
  const Handle u = new_handle();
  curl_url_set(u.get(), CURLUPART_URL, with_scheme.c_str(), 0);
  if (part(u, CURLUPART_PORT).empty()) url->port = 1080;
  return url;
}

std::string proxy_for(const Url& url, const std::optional<std::string>& wanted, const Environment& env) {
  if (is_this_machine(url.host)) return {};
  if (wanted) return *wanted;
  const auto first_of = [&](std::initializer_list<const char*> names) -> std::string {
    for (const char* name : names) {
      if (auto value = env(name); value && !value->empty()) return *std::move(value);
    }
    return {};
  };
  if (is_exempt(url.host, first_of({"no_proxy", "NO_PROXY"}))) return {};
  // HTTP_PROXY in capitals is not read: a CGI server sets it from a request's header "Proxy".
  return url.tls() ? first_of({"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"})
                   : first_of({"http_proxy", "all_proxy", "ALL_PROXY"});
}

Environment process_environment() {
  return [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    return value == nullptr ? std::nullopt : std::optional<std::string>{value};
  };
}

absl::Status check_ca_file(const std::string& path) {
  if (!std::ifstream{path})
    return absl::InvalidArgumentError(absl::StrCat(path, " cannot be read; does it exist, and may this user read it?"));
  const std::unique_ptr<X509_STORE, decltype(&X509_STORE_free)> store{X509_STORE_new(), X509_STORE_free};
  const bool loaded = X509_STORE_load_file(store.get(), path.c_str()) == 1;
  ERR_clear_error();
  if (!loaded)
    return absl::InvalidArgumentError(
        absl::StrCat(path, " holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)"));
  return absl::OkStatus();
}

std::string why_unverified(long code) {
  switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED: return "its TLS certificate has expired (or the clock of this machine is ahead)";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "its TLS certificate is not valid yet (or the clock of this machine is behind)";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return "its TLS certificate is for another name; use the name that is in the certificate as host of the URL";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return "its TLS certificate is of an authority that is not known here; give that authority's certificate as "
             "ca_file of the endpoint";
    default: return absl::StrCat("its TLS certificate does not verify: ", X509_verify_cert_error_string(code));
  }
}

}  // namespace towline::http
