// The driver's persistent state on disk: one small file, and a lock that keeps a second driver out. Thread-safe.
#pragma once
#include <absl/status/statusor.h>

#include <memory>
#include <mutex>
#include <string>

#include "services/engine-driver/core/gate.hpp"

namespace towline::driver {

class StateFile {
 public:
  /// FAILED_PRECONDITION: another process holds the directory. UNAVAILABLE: the directory cannot be created or written.
  static absl::StatusOr<std::unique_ptr<StateFile>> open(const std::string& directory);
  ~StateFile();

  /// Returns a state without a term if there is no file yet. DATA_LOSS: the file is damaged, which is never ignored
  /// because it guards finality. FAILED_PRECONDITION: the file belongs to another chain.
  absl::StatusOr<Persistent> load(const ChainIdentity& chain) const;
  /// Replaces the file.
  absl::Status save(const Persistent& p) const;
  /// Whether save() would succeed. The state file itself is not touched.
  absl::Status check() const;

 private:
  StateFile(std::string path, int lock) : path_{std::move(path)}, lock_{lock} {}
  const std::string path_;
  const int lock_;
  mutable std::mutex mutex_;
};

}  // namespace towline::driver
