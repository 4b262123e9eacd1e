#include "libs/base/files.hpp"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace towline {
namespace {

absl::Status unavailable(absl::string_view what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(errno)));
}

}  // namespace

std::error_code make_private_directory(const std::string& path) {
  std::error_code ec;
  if (std::filesystem::create_directories(path, ec) && !ec)
    std::filesystem::permissions(path, std::filesystem::perms::owner_all, ec);
  return ec;
}

absl::StatusOr<std::string> read_state_file(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  if (!in && errno == ENOENT) return absl::NotFoundError(absl::StrCat("there is no ", path));
  std::stringstream text;
  text << in.rdbuf();
  in.peek();  // tells a failed read from an empty file, which the line above does not
  if (in.fail()) return absl::InvalidArgumentError(absl::StrCat("cannot read ", path, ": ", std::strerror(errno)));
  return text.str();
}

absl::Status write_state_file(const std::string& path, const std::string& text) {
  const std::string fresh = path + ".new";
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return unavailable(absl::StrCat("cannot write ", fresh));
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(fd) == 0;
  absl::Status failure = written ? absl::OkStatus() : unavailable(absl::StrCat("cannot write ", fresh));
  ::close(fd);
  if (!failure.ok()) return failure;
  if (::rename(fresh.c_str(), path.c_str()) != 0) return unavailable(absl::StrCat("cannot replace ", path));
  // The rename is durable once the directory is synced.
  const std::string directory = std::filesystem::path{path}.parent_path();
  if (const int dir = ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      dir >= 0) {
    ::fsync(dir);
    ::close(dir);
  }
  return absl::OkStatus();
}

}  // namespace towline
