#include "libs/base/files.hpp"

#include <filesystem>

namespace towline {

std::error_code make_private_directory(const std::string& path) {
  std::error_code ec;
  if (std::filesystem::create_directories(path, ec) && !ec)
    std::filesystem::permissions(path, std::filesystem::perms::owner_all, ec);
  return ec;
}

}  // namespace towline
