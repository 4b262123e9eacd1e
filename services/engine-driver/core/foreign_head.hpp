// Does somebody else move the EL's head? Fed with each look at it. Pure.
#pragma once
#include <absl/time/time.h>

#include <optional>

#include "libs/eth/types.hpp"

namespace towline::driver {

class ForeignHead {
 public:
  /// So many moves that were not ours within so long: one may be an EL that shows ours late, or executes by itself what
  /// it kept.
  static constexpr int kMoves = 3;
  static constexpr absl::Duration kWithin = absl::Minutes(1);

  /// `writes`: how many writes of ours were begun or ended so far; a head that changed while that did not is not ours.
  /// `commanded`: the head that we asked for last.
  void on_look(const eth::BlockRef& head, std::uint64_t writes, const std::optional<Hash32>& commanded, absl::Time now);
  /// Another consensus client drives the EL. Ends when its head has rested for kWithin.
  bool driven(absl::Time now) const { return moves_ >= kMoves && now - last_ <= kWithin; }

 private:
  std::optional<eth::BlockRef> head_;
  std::uint64_t writes_ = 0;
  int moves_ = 0;
  absl::Time last_ = absl::InfinitePast();
};

}  // namespace towline::driver
