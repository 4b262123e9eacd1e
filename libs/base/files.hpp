// Files of the process's own.
#pragma once
#include <absl/status/statusor.h>

#include <string>
#include <system_error>

namespace towline {

/// The directory and those above it. One that is made is for its owner alone; one that is there stays as it is.
std::error_code make_private_directory(const std::string& path);

/// A small file that outlives the process. NOT_FOUND: there is none. INVALID_ARGUMENT: it cannot be read.
absl::StatusOr<std::string> read_state_file(const std::string& path);

/// Written whole or not at all, whatever ends the process or the machine; for its owner alone. UNAVAILABLE: it cannot
/// be written; the old one is still there.
absl::Status write_state_file(const std::string& path, const std::string& text);

}  // namespace towline
