// The services' shared token, as a file: one line of at least 32 visible characters.
#pragma once
#include <absl/status/statusor.h>

#include <string>

namespace towline::wire {

/// An error names the file and says what is wrong; it never contains the file's text.
absl::StatusOr<std::string> read_token(const std::string& file);

/// Makes the file with a new token, readable by its owner only, unless it exists.
absl::Status make_token(const std::string& file);

}  // namespace towline::wire
