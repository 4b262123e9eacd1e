#include "services/engine-driver/core/import_plan.hpp"

#include <absl/strings/str_cat.h>

#include "libs/base/hex.hpp"

namespace towline::driver {

ImportPlan::ImportPlan(const contract::ImportRange& range, std::uint64_t every, const contract::Labels& el,
                       const std::optional<eth::BlockId>& confirmed_finalized,
                       const std::optional<Hash32>& ours_above_parent)
    : range_{range},
      every_{every},
      confirmed_finalized_{confirmed_finalized},
      ours_above_parent_{ours_above_parent},
      last_{range_.parent} {
  if (el.safe) el_safe_ = el.safe->id();
  const auto reached = [&](const std::optional<eth::BlockId>& label) {
    return label && label->number <= range_.parent.number;
  };
  if (reached(range_.safe)) safe_ = range_.safe;
  if (reached(range_.finalized)) finalized_ = range_.finalized;
  // The EL started from a snapshot below its finalized block. Labels wait until the chain reaches that block again.
  below_confirmed_finalized_ = confirmed_finalized_ && range_.parent.number < confirmed_finalized_->number;
  // A branch switch below the safe label: the blocks that both branches share stay safe.
  if (!safe_ && el.safe && el.safe->number > range_.parent.number && !below_confirmed_finalized_) safe_ = range_.parent;
}

absl::Status ImportPlan::check(const eth::BlockRef& next) const {
  if (next.number != last_.number + 1 || next.parent_hash != last_.hash) {
    return absl::DataLossError(absl::StrCat("payload ", eth::to_string(next), " with parent ",
                                            short_hex(next.parent_hash.view()), " does not continue ",
                                            eth::to_string(last_)));
  }
  if (next.hash == ours_above_parent_) {
    return absl::DataLossError(
        absl::StrCat("the branch does not leave our chain after ", eth::to_string(range_.parent), " but higher up"));
  }
  if (next.number == range_.tip.number && next.hash != range_.tip.hash) {
    return absl::DataLossError(
        absl::StrCat("the range ends at ", eth::to_string(next), ", not at ", eth::to_string(range_.tip)));
  }
  return absl::OkStatus();
}

std::optional<contract::Forkchoice> ImportPlan::on_valid(const eth::BlockRef& block) {
  last_ = block.id();
  ++since_update_;
  if (confirmed_finalized_ && block.number == confirmed_finalized_->number) {
    below_confirmed_finalized_ = false;
    contradicts_finalized_ = block.hash != confirmed_finalized_->hash;
    if (!contradicts_finalized_) {
      finalized_ = confirmed_finalized_;
      safe_ = confirmed_finalized_;
    }
  }
  if (range_.safe && range_.safe->number == block.number && range_.safe->hash == block.hash) safe_ = range_.safe;
  if (range_.finalized && range_.finalized->number == block.number && range_.finalized->hash == block.hash)
    finalized_ = range_.finalized;
  if (contradicts_finalized_) return std::nullopt;
  if (since_update_ < every_ && !done()) return std::nullopt;
  since_update_ = 0;
  return update();
}

std::optional<contract::Forkchoice> ImportPlan::finish_early() const {
  if (since_update_ == 0 || contradicts_finalized_) return std::nullopt;
  return update();
}

contract::Forkchoice ImportPlan::update() const {
  contract::Forkchoice f{last_, safe_, finalized_};
  if (below_confirmed_finalized_) {
    f.safe.reset();
    f.finalized.reset();
    return f;
  }
  // Finalized may be reached before the requested safe block: safe is then raised to finalized.
  const auto& safe = f.safe ? f.safe : el_safe_;
  if (f.finalized && (!safe || safe->number < f.finalized->number)) f.safe = f.finalized;
  return f;
}

}  // namespace towline::driver
