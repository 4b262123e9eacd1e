#include "services/sync-coordinator/core/ancestor_search.hpp"

#include <algorithm>

namespace towline::coordinator {

AncestorSearch::Numbers AncestorSearch::compare(const eth::BlockRef& block, const Hash32& head) {
  kind_ = Kind::compare;
  head_ = head;
  compared_ = block;
  return {block.number};
}

AncestorSearch::Numbers AncestorSearch::ask_ours(Numbers numbers, const Hash32& head) {
  kind_ = Kind::ours;
  head_ = head;
  return numbers;
}

AncestorSearch::Numbers AncestorSearch::search(const eth::BlockId& low, std::uint64_t high, const Hash32& head) {
  kind_ = Kind::walkback;
  head_ = head;
  high_ = high;
  walkback_.emplace(low, high, width_);
  return walkback_->numbers();
}

AncestorSearch::Result AncestorSearch::on_answers(const Blocks& remote, const Blocks& local, const Hash32& head,
                                                  std::uint64_t reach) {
  if (head != head_) return Result::outdated;
  if (kind_ == Kind::ours) return Result::ours;
  if (kind_ == Kind::compare) {
    const bool same = std::any_of(local.begin(), local.end(), [&](const auto& b) {
      return b.number == compared_.number && b.hash == compared_.hash;
    });
    return same ? Result::same : Result::differs;
  }
  const Walkback::Result r = walkback_->on_answers(remote, local);
  if (r == Walkback::Result::searching) return Result::ask;
  ancestor_ = walkback_->ancestor();
  theirs_ = walkback_->remote_at_low();
  const int rounds = walkback_->rounds();
  walkback_.reset();
  if (r == Walkback::Result::stuck) return Result::stuck;
  if (r == Walkback::Result::diverged) return Result::diverged;
  rounds_ = rounds;
  // The target was lower when the search began, for example because the source had just restarted.
  return ancestor_.number == high_ && reach > high_ ? Result::grown : Result::found;
}

}  // namespace towline::coordinator
