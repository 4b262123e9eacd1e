// The blocks that the EL called INVALID: each is kept from it for a while, then asked again, since an EL may have been
// wrong (it was short of disk or memory, or was upgraded). Bounded. Pure.
#pragma once
#include <absl/container/flat_hash_map.h>
#include <absl/time/time.h>

#include <deque>

#include "libs/base/bytes.hpp"

namespace towline::driver {

class Quarantine {
 public:
  /// The EL called it INVALID, for the first time or again.
  void add(const Hash32& hash, absl::Time now);
  /// It is not to be sent now.
  bool holds(const Hash32& hash, absl::Time now) const;
  /// Another life of the EL begins.
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
