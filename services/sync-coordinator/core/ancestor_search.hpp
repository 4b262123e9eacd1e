// One search for the highest block that our chain and the source's have in common: one height first, since most heads
// are on our chain, then core/walkback. What was asked says nothing once our head has moved. Pure.
#pragma once
#include <optional>
#include <vector>

#include "services/sync-coordinator/core/walkback.hpp"

namespace towline::coordinator {

class AncestorSearch {
 public:
  using Numbers = std::vector<std::uint64_t>;
  using Blocks = std::vector<eth::BlockRef>;

  /// `width`: heights in a batch.
  explicit AncestorSearch(std::size_t width) : width_{width} {}

  // Each begins anew, while our head is `head`, and gives the heights that are asked for.
  /// Whether the source's `block` is ours.
  Numbers compare(const eth::BlockRef& block, const Hash32& head);
  /// Our own blocks; what the source has there does not matter.
  Numbers ask_ours(Numbers numbers, const Hash32& head);
  /// Down from `high` to `low`, which is ours and final.
  Numbers search(const eth::BlockId& low, std::uint64_t high, const Hash32& head);
  void stop() { walkback_.reset(); }

  enum class Result {
    outdated,  // our head has moved
    ours,      // what was asked of our own chain
    same,      // the compared block is ours
    differs,   // it is not: search
    ask,       // numbers() are asked for next
    stuck,     // the answers do not fit together: again later
    diverged,  // the chains differ at the lowest block already: ancestor() is ours, theirs() theirs
    found,     // ancestor() is the highest common block
    grown,     // it was all in common, and by now there is more above: search again
  };
  /// `head`: ours by now. `reach`: up to where there may be common blocks by now.
  Result on_answers(const Blocks& remote, const Blocks& local, const Hash32& head, std::uint64_t reach);

  bool of_ours() const { return kind_ == Kind::ours; }
  const Numbers& numbers() const { return walkback_->numbers(); }
  const eth::BlockRef& compared() const { return compared_; }
  const eth::BlockId& ancestor() const { return ancestor_; }
  const std::optional<eth::BlockId>& theirs() const { return theirs_; }
  /// Of the last search that found a block.
  int rounds() const { return rounds_; }

 private:
  enum class Kind { compare, ours, walkback };

  const std::size_t width_;
  Kind kind_ = Kind::compare;
  Hash32 head_;
  eth::BlockRef compared_;
  std::uint64_t high_ = 0;
  std::optional<Walkback> walkback_;
  eth::BlockId ancestor_;
  std::optional<eth::BlockId> theirs_;
  int rounds_ = 0;
};

}  // namespace towline::coordinator
