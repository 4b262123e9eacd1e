// Makes text of remote origin fit for reasons and JSON. Pure.
#pragma once
#include <absl/strings/string_view.h>

#include <string>

namespace towline {

/// At most `max` bytes of `s` as valid UTF-8: cut between two characters, with "?" for each byte that belongs to none.
std::string cut_text(absl::string_view s, std::size_t max);

}  // namespace towline
