#include "services/remote-fetcher/core/redact.hpp"

#include <absl/strings/ascii.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>

#include <algorithm>

namespace towline::fetcher {
namespace {

constexpr std::size_t kLongest = 200;
/// Shorter words ("v1", "rpc") are no secrets, and redacting them would garble harmless text.
constexpr std::size_t kShortestSecret = 6;

void add_words(absl::string_view part, std::vector<std::string>& out) {
  if (part.size() >= kShortestSecret) out.emplace_back(part);
  for (const absl::string_view word : absl::StrSplit(part, absl::ByAnyChar("/?&=:@ "))) {
    if (word.size() >= kShortestSecret && word.size() < part.size()) out.emplace_back(word);
  }
}

}  // namespace

std::vector<std::string> secrets_of(absl::string_view url, const std::vector<std::string>& headers) {
  std::vector<std::string> out;
  const auto scheme = url.find("://");
  absl::string_view rest = scheme == absl::string_view::npos ? url : url.substr(scheme + 3);
  const auto end = rest.find_first_of("/?#");
  const absl::string_view authority = rest.substr(0, end);
  if (end != absl::string_view::npos) add_words(rest.substr(end), out);
  if (const auto at = authority.rfind('@'); at != absl::string_view::npos) add_words(authority.substr(0, at), out);
  for (const auto& h : headers) {
    const auto colon = h.find(':');
    if (colon != std::string::npos) add_words(absl::StripAsciiWhitespace(absl::string_view{h}.substr(colon + 1)), out);
  }
  // Longer ones first, so that no part of a secret remains.
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
  return out;
}

std::string presentable(absl::string_view text, const std::vector<std::string>& secrets) {
  // Secrets are removed before the cut, which could split one; but a huge text is not searched completely.
  std::string out{text.substr(0, 20 * kLongest)};
  for (const auto& s : secrets) out = absl::StrReplaceAll(out, {{s, "***"}});
  if (out.size() > kLongest) out = out.substr(0, kLongest) + "...";
  for (char& c : out) {
    if (!absl::ascii_isprint(static_cast<unsigned char>(c))) c = '?';
  }
  return out;
}

}  // namespace towline::fetcher
