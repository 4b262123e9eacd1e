// Blocks that the EL called INVALID. Each is withheld from the EL for a while and then sent again, since the EL may
// have been wrong (short of disk or memory, or upgraded since). Bounded. Pure.
#pragma once
#include <absl/container/flat_hash_map.h>
#include <absl/time/time.h>

#include <deque>

#include "libs/base/bytes.hpp"

namespace towline::driver {

class Quarantine {
 public:
  /// The EL called the block INVALID; the wait doubles each time.
  void add(const Hash32& hash, absl::Time now);
  /// Whether the block must not be sent now.
  bool holds(const Hash32& hash, absl::Time now) const;
  /// A new engine session begins.
  void clear();

 private:
  struct Entry {
    absl::Duration wait;
    absl::Time again;
  };
  absl::flat_hash_map<Hash32, Entry> entries_;
  std::deque<Hash32> order_;
};

}  // namespace towline::driver
