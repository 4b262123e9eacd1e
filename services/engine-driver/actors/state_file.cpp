#include "services/engine-driver/actors/state_file.hpp"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "libs/base/files.hpp"
#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"

namespace towline::driver {
namespace {

absl::Status errno_status(absl::string_view what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(errno)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<StateFile>> StateFile::open(const std::string& directory) {
  if (const auto ec = make_private_directory(directory))
    return absl::UnavailableError(absl::StrCat("--data-dir: cannot create ", directory, ": ", ec.message()));
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

absl::StatusOr<Persistent> StateFile::load(const ChainIdentity& chain) const {
  const std::string path = directory_ + "/state.json";
  std::ifstream in{path, std::ios::binary};
  if (!in) {
    if (std::filesystem::exists(path)) return errno_status(absl::StrCat("cannot read ", path));
    Persistent fresh;
    fresh.chain = chain;
    return fresh;
  }
  auto p = decode_persistent({std::istreambuf_iterator<char>{in}, {}});
  if (!p.ok()) {
    return absl::DataLossError(
        absl::StrCat(path, ": ", p.status().message(),
                     ". It guards what is final: restore it, or delete it to trust the EL's own labels"));
  }
  if (p->chain && *p->chain != chain) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is of another chain (chain id ", p->chain->chain_id, ", genesis ",
                     short_hex(p->chain->genesis.view()), "), this one is ", chain.chain_id, ", ",
                     short_hex(chain.genesis.view()), ": give each chain a --data-dir of its own"));
  }
  p->chain = chain;
  return p;
}

absl::Status StateFile::check() const {
  const std::lock_guard lock{mutex_};
  const std::string fresh = directory_ + "/state.json.new";
  // Larger than any state, so that a full disk is seen.
  const absl::Status st = write(fresh, std::string(4096, ' '));
  ::unlink(fresh.c_str());
  return st;
}

absl::Status StateFile::write(const std::string& fresh, const std::string& text) const {
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return errno_status(absl::StrCat("cannot write ", fresh));
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  ::close(fd);
  return written ? absl::OkStatus() : errno_status(absl::StrCat("cannot write ", fresh));
}

absl::Status StateFile::save(const Persistent& p) const {
  const std::lock_guard lock{mutex_};
  const std::string path = directory_ + "/state.json";
  const std::string fresh = path + ".new";
  TOWLINE_RETURN_IF_ERROR(write(fresh, encode(p)));
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
