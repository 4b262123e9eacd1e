#include "tools/towline/lowering.hpp"

#include <algorithm>

namespace towline::cli {
namespace {

/// Heights in one question: a CL needs a proof for each.
constexpr std::size_t kWidth = 32;

}  // namespace

Lowering::Lowering(const Here& here) : here_{here} {
  for (const auto& block : {here_.confirmed_finalized, here_.finalized}) {
    if (!block) continue;
    numbers_.push_back(block->number);
    if (!was_ || block->number > was_->number) was_ = block;
  }
  std::sort(numbers_.begin(), numbers_.end());
  numbers_.erase(std::unique(numbers_.begin(), numbers_.end()), numbers_.end());
  if (!was_) result_ = Result::nothing_final;
}

void Lowering::compare_final(const std::vector<eth::BlockRef>& majority) {
  const auto at = [&](std::uint64_t number) -> std::optional<eth::BlockId> {
    const auto it = std::find_if(majority.begin(), majority.end(), [&](const auto& b) { return b.number == number; });
    return it == majority.end() ? std::nullopt : std::optional{it->id()};
  };
  theirs_ = at(was_->number);
  // The confirmed finalized block goes first: an EL that was replaced may show another chain, with labels that are
  // correct on it.
  for (const auto& block : {here_.confirmed_finalized, here_.finalized}) {
    if (!block) continue;
    const auto there = at(block->number);
    if (!there || there->hash == block->hash) continue;
    was_ = block;
    theirs_ = there;
    search_.emplace(here_.genesis, std::min(here_.head.number, was_->number), kWidth);
    numbers_ = search_->numbers();
    return;
  }
  result_ = theirs_ ? Result::supported : Result::no_majority;
}

void Lowering::on_answers(const std::vector<eth::BlockRef>& majority, const std::vector<eth::BlockRef>& ours) {
  if (result_ != Result::asking) return;
  if (!search_) return compare_final(majority);
  switch (search_->on_answers(majority, ours)) {
    case coordinator::Walkback::Result::searching: numbers_ = search_->numbers(); return;
    case coordinator::Walkback::Result::diverged: result_ = Result::other_chain; return;
    case coordinator::Walkback::Result::stuck: result_ = Result::no_answer; return;
    case coordinator::Walkback::Result::found: break;
  }
  to_ = search_->ancestor();
  result_ = Result::lower;
}

}  // namespace towline::cli
