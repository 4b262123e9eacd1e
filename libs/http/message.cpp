#include "libs/http/message.hpp"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <curl/curl.h>

#include <algorithm>

namespace towline::http {
namespace {

Response failed(Failure failure, absl::Status why) {
  Response r;
  r.failure = failure;
  r.transport = std::move(why);
  return r;
}

}  // namespace

Response unavailable(Failure failure, absl::string_view why) { return failed(failure, absl::UnavailableError(why)); }

Response timed_out(absl::Duration timeout) {
  return failed(Failure::timeout,
                absl::DeadlineExceededError(absl::StrCat("no whole answer within ", absl::FormatDuration(timeout))));
}

Response too_large(std::size_t limit) {
  return failed(Failure::too_large, absl::ResourceExhaustedError(absl::StrCat("answer larger than ", limit, " bytes")));
}

Response cancelled(absl::string_view why) { return failed(Failure::cancelled, absl::CancelledError(why)); }

Response connection_lost() { return unavailable(Failure::lost, "connection lost before the whole answer"); }

Response bad_ca_file() {
  return unavailable(Failure::tls, "the CA file cannot be read, or holds no certificate in PEM form");
}

Response no_tls() {
  return unavailable(Failure::tls,
                     "no TLS connection: if the port speaks plain text, use http:// or ws:// instead of https:// or "
                     "wss://");
}

Response refused_by_proxy(long status) {
  Response r = unavailable(Failure::proxy,
                           status == 407 ? "the proxy wants a user and a password (HTTP 407), or others than it got"
                                         : absl::StrCat("the proxy refuses to connect to the host: HTTP ", status));
  r.status = status;
  return r;
}

void read_header(absl::string_view name, absl::string_view value, Response& response) {
  if (absl::EqualsIgnoreCase(name, "date")) {
    const std::time_t date = curl_getdate(std::string{value}.c_str(), nullptr);
    if (date >= 0) response.date = absl::FromTimeT(date);
    response.date_read = absl::Now();
  } else if (absl::EqualsIgnoreCase(name, "location")) {
    response.location = std::string{value};
  } else if (absl::EqualsIgnoreCase(name, "content-encoding")) {
    // A second header is a second layer.
    if (!absl::EqualsIgnoreCase(value, "identity"))
      absl::StrAppend(&response.encoding, response.encoding.empty() ? "" : ", ", absl::AsciiStrToLower(value));
  } else if (absl::EqualsIgnoreCase(name, "transfer-encoding")) {
    // The transport handles chunks; any other encoding is a layer that nobody asked for.
    if (!absl::EqualsIgnoreCase(value, "chunked"))
      absl::StrAppend(&response.encoding, "transfer ", absl::AsciiStrToLower(value));
  } else if (absl::EqualsIgnoreCase(name, "retry-after")) {
    response.retry_after = parse_retry_after(std::string{value}, absl::Now());
  }
}

std::optional<absl::Duration> parse_retry_after(const std::string& value, absl::Time now) {
  absl::Duration wait;
  std::int64_t seconds = 0;
  if (absl::SimpleAtoi(value, &seconds)) {
    wait = absl::Seconds(seconds);
  } else {
    const time_t at = curl_getdate(value.c_str(), nullptr);
    if (at < 0) return std::nullopt;
    wait = absl::FromTimeT(at) - now;
  }
  return std::clamp(wait, absl::ZeroDuration(), absl::Minutes(5));
}

}  // namespace towline::http
