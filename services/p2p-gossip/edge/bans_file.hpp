// The file that keeps the bans. A running process uses the steady clock for their ends, the file the wall clock.
#pragma once
#include <absl/status/status.h>

#include <utility>

#include "libs/actor_kit/file_store.hpp"
#include "services/p2p-gossip/core/bans.hpp"

namespace towline::gossip {

class BansFile {
 public:
  /// Null `file`: nothing is kept. `bans` must outlive this object.
  BansFile(KeptFilePtr file, Bans& bans) : file_{std::move(file)}, bans_{bans} {}

  /// A missing file is no error. INVALID_ARGUMENT: the file cannot be parsed, or not be read.
  absl::Status read();
  /// `done` is called on another thread, or at once if nothing is kept.
  void write(KeptFile::Done done);
  /// Marks that there are changes to write.
  void changed() { changed_ = true; }
  void write_changes() {
    if (changed_) write(nullptr);
  }
  /// The bans with wall-clock times, for display and for the file.
  Bans by_wall_clock() const;

 private:
  const KeptFilePtr file_;
  Bans& bans_;
  bool changed_ = false;
};

}  // namespace towline::gossip
