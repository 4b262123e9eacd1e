// Makes remote text fit for logs, metrics and answers: short, printable, and free of the secrets in the endpoint's URL
// and headers, which servers tend to quote in errors. Pure.
#pragma once
#include <absl/strings/string_view.h>

#include <string>
#include <vector>

namespace towline::fetcher {

/// The secret parts of a URL and of headers ("Name: value"): userinfo, path, query, header values, and the longer words
/// in them.
std::vector<std::string> secrets_of(absl::string_view url, const std::vector<std::string>& headers);
/// `text` without `secrets`, at most about 200 bytes, with '?' for bytes that are not printable ASCII.
std::string presentable(absl::string_view text, const std::vector<std::string>& secrets);

}  // namespace towline::fetcher
