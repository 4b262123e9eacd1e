// The search for the highest block that two chains have in common, by headers only: each round asks both sides for the
// same heights in one batch each, and the interval shrinks by the width of the batch. Pure.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "libs/eth/types.hpp"

namespace towline::coordinator {

class Walkback {
 public:
  /// Most reorgs are shallow: the first round looks at this many heights one by one (16 that differ and one that does
  /// not).
  static constexpr std::uint64_t kNear = 17;

  enum class Result {
    searching,
    found,     // ancestor() is the highest common block
    diverged,  // the chains differ at `low` already
    stuck,     // the answers had too little in common to go on: ask again later
  };

  /// Between `low`, which is ours and final, and `high`, which may differ. `width`: heights in a batch, 2 at least.
  Walkback(const eth::BlockId& low, std::uint64_t high, std::size_t width);

  /// The heights of this round, ascending.
  const std::vector<std::uint64_t>& numbers() const { return numbers_; }
  /// What both sides have at those heights; any may be missing.
  Result on_answers(const std::vector<eth::BlockRef>& remote, const std::vector<eth::BlockRef>& local);

  const eth::BlockId& ancestor() const { return low_; }
  int rounds() const { return rounds_; }
  /// What the remote has at `low` when diverged.
  const std::optional<eth::BlockId>& remote_at_low() const { return remote_at_low_; }

 private:
  void plan();
  eth::BlockId low_;    // highest height known to be common (or final here, until it was compared)
  std::uint64_t high_;  // lowest height known to differ, or one above the search
  const std::size_t width_;
  bool low_compared_ = false;
  int rounds_ = 0;
  std::vector<std::uint64_t> numbers_;
  std::optional<eth::BlockId> remote_at_low_;
};

}  // namespace towline::coordinator
