// May what is final here be taken back? Only where a majority of the trust groups has one other block in its place:
// this finds that block, and the highest one that the EL has in common with the majority. It asks for some heights at a
// time, of every source and of the EL. Pure.
#pragma once
#include <optional>
#include <vector>

#include "services/sync-coordinator/core/walkback.hpp"

namespace towline::cli {

class Lowering {
 public:
  /// What an engine-driver says of itself and its EL.
  struct Here {
    eth::BlockId genesis;
    /// Both are final here.
    std::optional<eth::BlockId> confirmed_finalized, finalized;
    eth::BlockId head;
  };
  enum class Result {
    asking,
    nothing_final,  // there is nothing to be lowered
    supported,      // a majority has what is final here
    no_majority,    // no block has a majority at that height
    other_chain,    // the majority has another genesis
    no_answer,      // what the sources and the EL have does not fit together: ask again later
    lower,          // from was() to to()
  };
  explicit Lowering(const Here& here);

  /// The heights that are asked for now, ascending.
  const std::vector<std::uint64_t>& numbers() const { return numbers_; }
  /// `majority`: what more than half of the trust groups have there; `ours`: what the EL has. Any may be missing.
  void on_answers(const std::vector<eth::BlockRef>& majority, const std::vector<eth::BlockRef>& ours);

  Result result() const { return result_; }
  /// What is contradicted; of what is not contradicted the highest.
  const std::optional<eth::BlockId>& was() const { return was_; }
  /// What the majority has at its height.
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
