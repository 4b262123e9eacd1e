// The file that keeps the bans. A running process uses the steady clock for their ends, the file the wall clock.
#pragma once
#include <absl/status/status.h>

#include <string>
#include <utility>

#include "services/p2p-gossip/core/bans.hpp"

namespace towline::gossip {

class BansFile {
 public:
  /// Empty `path`: nothing is kept. `bans` must outlive this object.
  BansFile(std::string path, Bans& bans) : path_{std::move(path)}, bans_{bans} {}

  /// A missing file is no error. INVALID_ARGUMENT: the file cannot be parsed, or not be read.
  absl::Status read();
  absl::Status write();
  /// Marks that there are changes to write.
  void changed() { changed_ = true; }
  absl::Status write_changes() { return changed_ ? write() : absl::OkStatus(); }
  /// The bans with wall-clock times, for display and for the file.
  Bans by_wall_clock() const;

 private:
  const std::string path_;
  Bans& bans_;
  bool changed_ = false;
};

}  // namespace towline::gossip
