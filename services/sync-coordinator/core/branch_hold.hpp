// How soon the tow may switch branches again on unsafe heads alone, since two unsafe heads may contradict each other
// for a while. A block derived from L1 may switch the branch at any time. Pure.
#pragma once
#include <absl/time/time.h>

#include "libs/base/bytes.hpp"

namespace towline::coordinator {

class BranchHold {
 public:
  /// An import starts while our head is `head`.
  void on_import(bool switches_on_unsafe, const Hash32& head);
  /// If the branch was switched, the next switch has to wait. Switches in quick succession double the wait.
  void on_head(const Hash32& head, absl::Time now);

  bool holds(absl::Time now) const { return now < until_; }
  absl::Time until() const { return until_; }

 private:
  bool switching_ = false;
  Hash32 head_before_;
  absl::Time until_ = absl::InfinitePast();
  absl::Duration wait_ = absl::ZeroDuration();
};

}  // namespace towline::coordinator
