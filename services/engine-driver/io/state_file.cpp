#include "services/engine-driver/io/state_file.hpp"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "libs/base/files.hpp"
#include "libs/base/hex.hpp"

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
  return std::unique_ptr<StateFile>{new StateFile{directory + "/state.json", lock}};
}

StateFile::~StateFile() { ::close(lock_); }

absl::StatusOr<Persistent> StateFile::load(const ChainIdentity& chain) const {
  const auto text = read_state_file(path_);
  if (absl::IsNotFound(text.status())) {
    Persistent fresh;
    fresh.chain = chain;
    return fresh;
  }
  if (!text.ok()) return text.status();
  auto p = decode_persistent(*text);
  if (!p.ok()) {
    return absl::DataLossError(
        absl::StrCat(path_, ": ", p.status().message(),
                     ". It guards what is final: restore it, or delete it to trust the EL's own labels"));
  }
  if (p->chain && *p->chain != chain) {
    return absl::FailedPreconditionError(
        absl::StrCat(path_, " is of another chain (chain id ", p->chain->chain_id, ", genesis ",
                     short_hex(p->chain->genesis.view()), "), this one is ", chain.chain_id, ", ",
                     short_hex(chain.genesis.view()), ": give each chain a --data-dir of its own"));
  }
  p->chain = chain;
  return p;
}

absl::Status StateFile::check() const {
  const std::lock_guard lock{mutex_};
  // Writes the file that save() writes first, larger than any state, so that a full disk is noticed.
  const std::string first = path_ + ".new";
  const absl::Status st = write_state_file(first, std::string(4096, ' '));
  ::unlink(first.c_str());
  return st;
}

absl::Status StateFile::save(const Persistent& p) const {
  const std::lock_guard lock{mutex_};
  return write_state_file(path_, encode(p));
}

}  // namespace towline::driver
