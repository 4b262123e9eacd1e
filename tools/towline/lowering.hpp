// Whether a block that is final here may be lowered: only if a majority of the trust groups has one other block in its
// place. This search finds that block, and the highest block that the EL has in common with the majority. It asks every
// source and the EL for some heights at a time. Pure.
#pragma once
#include <optional>
#include <vector>

#include "services/sync-coordinator/core/walkback.hpp"

namespace towline::cli {

class Lowering {
 public:
  /// An engine-driver's report of itself and its EL.
  struct Here {
    eth::BlockId genesis;
    /// Both are final here.
    std::optional<eth::BlockId> confirmed_finalized, finalized;
    eth::BlockId head;
  };
  enum class Result {
    asking,
    nothing_final,  // no block to lower
    supported,      // a majority has the final blocks of this tow
    no_majority,    // no block has a majority at that height
    other_chain,    // the majority has another genesis
    no_answer,      // the answers of the sources and the EL do not fit together: ask again later
    lower,          // from was() to to()
  };
  explicit Lowering(const Here& here);

  /// The heights to ask for now, ascending.
  const std::vector<std::uint64_t>& numbers() const { return numbers_; }
  /// `majority`: the blocks that more than half of the trust groups have there; `ours`: the EL's. Any may be missing.
  void on_answers(const std::vector<eth::BlockRef>& majority, const std::vector<eth::BlockRef>& ours);

  Result result() const { return result_; }
  /// The final block that is contradicted; if none is, the highest final block.
  const std::optional<eth::BlockId>& was() const { return was_; }
  /// The majority's block at that height.
  const std::optional<eth::BlockId>& theirs() const { return theirs_; }
  const std::optional<eth::BlockId>& to() const { return to_; }

 private:
  void compare_final(const std::vector<eth::BlockRef>& majority);

  const Here here_;
  Result result_ = Result::asking;
  std::vector<std::uint64_t> numbers_;
  std::optional<coordinator::Walkback> search_;
  std::optional<eth::BlockId> was_, theirs_, to_;
};

}  // namespace towline::cli
