// The file that keeps the bans. A running process has times that no step of the clock disturbs, and the file has those
// of the wall clock.
#pragma once
#include <absl/status/status.h>

#include <string>
#include <utility>

#include "services/p2p-gossip/core/bans.hpp"

namespace towline::gossip {

class BansFile {
 public:
  /// `path` "": nothing is kept. `bans` must outlive it.
  BansFile(std::string path, Bans& bans) : path_{std::move(path)}, bans_{bans} {}

  /// A file that is not there is no error. INVALID_ARGUMENT: it cannot be understood.
  absl::Status read();
  absl::Status write();
  /// There is something to write, by and by.
  void changed() { changed_ = true; }
  absl::Status write_changes() { return changed_ ? write() : absl::OkStatus(); }
  /// As people and the file have them.
  Bans by_wall_clock() const;

 private:
  const std::string path_;
  Bans& bans_;
  bool changed_ = false;
};

}  // namespace towline::gossip
