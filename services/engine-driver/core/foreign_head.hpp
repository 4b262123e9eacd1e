// Detects that another consensus client moves the EL's head. Fed with each look at the head. Pure.
#pragma once
#include <absl/time/time.h>

#include <optional>

#include "libs/eth/types.hpp"

namespace towline::driver {

class ForeignHead {
 public:
  /// This many foreign moves mean another client, each within kWithin of the last. A single one may be an EL that shows
  /// our head late, or that executes blocks it had kept.
  static constexpr int kMoves = 3;
  static constexpr absl::Duration kWithin = absl::Minutes(1);

  /// `writes`: the number of our writes begun or ended so far; a head that changed while this number did not is not
  /// ours. `commanded`: the last head that we asked for.
  void on_look(const eth::BlockRef& head, std::uint64_t writes, const std::optional<Hash32>& commanded, absl::Time now);
  /// Another consensus client drives the EL. False again once the head has rested for kWithin.
  bool driven(absl::Time now) const { return moves_ >= kMoves && now - last_ <= kWithin; }

 private:
  std::optional<eth::BlockRef> head_;
  std::uint64_t writes_ = 0;
  int moves_ = 0;
  absl::Time last_ = absl::InfinitePast();
};

}  // namespace towline::driver
