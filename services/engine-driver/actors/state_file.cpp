#include "services/engine-driver/actors/state_file.hpp"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace towline::driver {
namespace {

absl::Status errno_status(absl::string_view what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(errno)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<StateFile>> StateFile::open(const std::string& directory) {
  std::error_code ec;
  std::filesystem::create_directories(directory, ec);
  if (ec) return absl::UnavailableError(absl::StrCat("--data-dir: cannot create ", directory, ": ", ec.message()));
  const int lock = ::open((directory + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return errno_status(absl::StrCat("--data-dir: cannot write in ", directory));
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    ::close(lock);
    return absl::FailedPreconditionError(
        absl::StrCat("--data-dir: ", directory, " is in use by another engine-driver"));
  }
  return std::unique_ptr<StateFile>{new StateFile{directory, lock}};
}

StateFile::~StateFile() { ::close(lock_); }

absl::StatusOr<Persistent> StateFile::load() const {
  const std::string path = directory_ + "/state.json";
  std::ifstream in{path, std::ios::binary};
  if (!in) {
    if (std::filesystem::exists(path)) return errno_status(absl::StrCat("cannot read ", path));
    return Persistent{};
  }
  auto p = decode_persistent({std::istreambuf_iterator<char>{in}, {}});
  if (!p.ok()) {
    return absl::DataLossError(
        absl::StrCat(path, ": ", p.status().message(),
                     ". It guards what is final: restore it, or delete it to trust the EL's own labels"));
  }
  return p;
}

absl::Status StateFile::save(const Persistent& p) const {
  const std::string path = directory_ + "/state.json";
  const std::string fresh = path + ".new";
  const std::string text = encode(p);
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return errno_status(absl::StrCat("cannot write ", fresh));
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  ::close(fd);
  if (!written) return errno_status(absl::StrCat("cannot write ", fresh));
  if (::rename(fresh.c_str(), path.c_str()) != 0) return errno_status(absl::StrCat("cannot replace ", path));
  // The rename itself lives in the directory.
  const int dir = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir >= 0) {
    fsync(dir);
    ::close(dir);
  }
  return absl::OkStatus();
}

}  // namespace towline::driver
