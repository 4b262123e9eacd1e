// Files of the process's own.
#pragma once
#include <string>
#include <system_error>

namespace towline {

/// The directory and those above it. One that is made is for its owner alone; one that is there stays as it is.
std::error_code make_private_directory(const std::string& path);

}  // namespace towline
