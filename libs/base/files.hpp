// The files in which a process keeps its state.
#pragma once
#include <absl/status/statusor.h>

#include <string>
#include <system_error>

namespace towline {

/// Makes the directory and its parents, for their owner alone. An existing directory is left as it is.
std::error_code make_private_directory(const std::string& path);

/// The text of a state file. NOT_FOUND: there is no file. INVALID_ARGUMENT: it cannot be read.
absl::StatusOr<std::string> read_state_file(const std::string& path);

/// Writes the file whole or not at all, also if the process or the machine ends meanwhile; for its owner alone.
/// UNAVAILABLE: it cannot be written; the old file is still there.
absl::Status write_state_file(const std::string& path, const std::string& text);

}  // namespace towline
