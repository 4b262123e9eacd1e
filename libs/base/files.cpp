#include "libs/base/files.hpp"

#include <absl/strings/str_cat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace towline {

std::error_code make_private_directory(const std::string& path) {
  std::error_code ec;
  if (std::filesystem::create_directories(path, ec) && !ec)
    std::filesystem::permissions(path, std::filesystem::perms::owner_all, ec);
  return ec;
}

absl::StatusOr<std::string> read_state_file(const std::string& path) {
  if (!std::filesystem::exists(path)) return absl::NotFoundError(absl::StrCat("there is no ", path));
  std::ifstream in{path};
  std::stringstream text;
  text << in.rdbuf();
  if (!in) return absl::InvalidArgumentError(absl::StrCat("cannot read ", path));
  return text.str();
}

absl::Status write_state_file(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".new";
  {
    std::ofstream out{temporary};
    out << text;
    if (!out.flush()) return absl::UnavailableError(absl::StrCat("cannot write ", temporary));
  }
  std::error_code ec;
  std::filesystem::rename(temporary, path, ec);
  return ec ? absl::UnavailableError(absl::StrCat("cannot write ", path)) : absl::OkStatus();
}

}  // namespace towline
