// The search for the highest common block of two chains, by headers only. Each round asks both sides for the same
// heights in one batch, and divides the open interval by the batch width plus one. Pure.
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
  /// Most reorgs are shallow: the first round looks at this many heights below the head one by one (16 that differ and
  /// one in common).
  static constexpr std::uint64_t kNear = 17;

  enum class Result {
    searching,
    found,     // ancestor() is the highest common block
    diverged,  // the chains already differ at `low`
    stuck,     // the answers had too little in common: ask again later
  };

  /// `low` is on our chain and finalized; `high` may differ. `width`: heights in one batch, at least 2.
  Walkback(const eth::BlockId& low, std::uint64_t high, std::size_t width);

  /// The heights of this round, ascending.
  const std::vector<std::uint64_t>& numbers() const { return numbers_; }
  /// The blocks of both sides at those heights; any may be missing.
  Result on_answers(const std::vector<eth::BlockRef>& remote, const std::vector<eth::BlockRef>& local);

  const eth::BlockId& ancestor() const { return low_; }
  int rounds() const { return rounds_; }
  /// The remote's block at `low`, if the chains diverged.
  const std::optional<eth::BlockId>& remote_at_low() const { return remote_at_low_; }

 private:
  void plan();
  eth::BlockId low_;    // highest height known to be common, or the finalized block that is not compared yet
  std::uint64_t high_;  // lowest height known to differ, or one above the search range
  const std::size_t width_;
  bool low_compared_ = false;
  int rounds_ = 0;
  std::vector<std::uint64_t> numbers_;
  std::optional<eth::BlockId> remote_at_low_;
};

}  // namespace towline::coordinator
