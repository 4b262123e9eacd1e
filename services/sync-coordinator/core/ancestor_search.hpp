// One search for the highest block that our chain and the source's chain have in common. Most heads are on our chain,
// so one height is compared first; core/walkback follows if it differs. Answers are void once our head has moved. Pure.
#pragma once
#include <optional>
#include <vector>

#include "services/sync-coordinator/core/walkback.hpp"

namespace towline::coordinator {

class AncestorSearch {
 public:
  using Numbers = std::vector<std::uint64_t>;
  using Blocks = std::vector<eth::BlockRef>;

  /// `width`: heights in one batch.
  explicit AncestorSearch(std::size_t width) : width_{width} {}

  // Each of these starts a new search while our head is `head`, and returns the heights to ask for.
  /// Is the source's `block` on our chain?
  Numbers compare(const eth::BlockRef& block, const Hash32& head);
  /// Asks for blocks of our own chain; the source's answer is ignored.
  Numbers ask_ours(Numbers numbers, const Hash32& head);
  /// Searches from `high` down to `low`, which is on our chain and finalized.
  Numbers search(const eth::BlockId& low, std::uint64_t high, const Hash32& head);
  void stop() { walkback_.reset(); }

  enum class Result {
    outdated,  // our head has moved
    ours,      // the requested blocks of our own chain
    same,      // the compared block is ours
    differs,   // the compared block is not ours: search
    ask,       // ask for numbers() next
    stuck,     // the answers do not fit together: try again later
    diverged,  // the chains already differ at the lowest block; ancestor() is ours, theirs() is the source's
    found,     // ancestor() is the highest common block
    grown,     // everything was common, and the chains are longer now: search again
  };
  /// `head`: our head now. `reach`: the highest height at which the chains can share a block now.
  Result on_answers(const Blocks& remote, const Blocks& local, const Hash32& head, std::uint64_t reach);

  bool of_ours() const { return kind_ == Kind::ours; }
  const Numbers& numbers() const { return walkback_->numbers(); }
  const eth::BlockRef& compared() const { return compared_; }
  const eth::BlockId& ancestor() const { return ancestor_; }
  const std::optional<eth::BlockId>& theirs() const { return theirs_; }
  /// Rounds of the last search that found a block.
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
