#include "libs/base/text.hpp"

namespace towline {
namespace {

/// The size in bytes of the UTF-8 character that `s` begins with; 0: none. Overlong forms and surrogates are none.
std::size_t character(absl::string_view s) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  const unsigned char first = at(0);
  if (first < 0x80) return 1;
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || s.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((at(i) & 0xc0U) != 0x80) return 0;
  }
  const unsigned char second = at(1);
  if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90) ||
      (first == 0xf4 && second > 0x8f))
    return 0;
  return size;
}

}  // namespace

std::string cut_text(absl::string_view s, std::size_t max) {
  std::string out;
  while (!s.empty()) {
    const std::size_t n = character(s);
    const absl::string_view next = n == 0 ? absl::string_view{"?"} : s.substr(0, n);
    if (out.size() + next.size() > max) break;
    out.append(next.data(), next.size());
    s.remove_prefix(n == 0 ? 1 : n);
  }
  return out;
}

}  // namespace towline
