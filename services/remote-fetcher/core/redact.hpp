// Text of remote origin, made fit for logs, metrics and answers: short, printable, and without what is secret in the
// endpoint's URL and headers (servers like to quote them in their errors). Pure.
#pragma once
#include <absl/strings/string_view.h>

#include <string>
#include <vector>

namespace towline::fetcher {

/// The parts of a URL and headers ("Name: value") that must not be shown: userinfo, path, query, header values, and
/// their longer words.
std::vector<std::string> secrets_of(absl::string_view url, const std::vector<std::string>& headers);
std::string presentable(absl::string_view text, const std::vector<std::string>& secrets);

}  // namespace towline::fetcher
