// Text of remote origin, made fit to be kept in reasons and JSON. Pure.
#pragma once
#include <absl/strings/string_view.h>

#include <string>

namespace towline {

/// Valid UTF-8 of at most `max` bytes: cut between two characters, and "?" for each byte that belongs to none.
std::string cut_text(absl::string_view s, std::size_t max);

}  // namespace towline
