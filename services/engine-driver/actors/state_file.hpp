// The driver's persistent state on disk: one small file, replaced by fsync and rename, and a lock that keeps a second
// driver out.
#pragma once
#include <absl/status/statusor.h>

#include <memory>
#include <string>

#include "services/engine-driver/core/gate.hpp"

namespace towline::driver {

class StateFile {
 public:
  /// FAILED_PRECONDITION: another process holds the directory. PERMISSION_DENIED / UNAVAILABLE: it cannot be made or
  /// written.
  static absl::StatusOr<std::unique_ptr<StateFile>> open(const std::string& directory);
  ~StateFile();

  /// An empty state if there is no file yet; DATA_LOSS if it is damaged (never ignored: it guards finality).
  absl::StatusOr<Persistent> load() const;
  absl::Status save(const Persistent& p) const;

 private:
  StateFile(std::string directory, int lock) : directory_{std::move(directory)}, lock_{lock} {}
  const std::string directory_;
  const int lock_;
};

}  // namespace towline::driver
