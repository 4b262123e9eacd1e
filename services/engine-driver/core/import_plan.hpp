// One range import: which payload may be sent next, when a forkchoice update is due, and the labels in it. Pure.
#pragma once
#include <absl/status/status.h>

#include <optional>

#include "libs/contract/command.hpp"

namespace towline::driver {

class ImportPlan {
 public:
  /// `every`: blocks between two updates. `el`: the labels before the import. `confirmed_finalized`: see Gate.
  /// `ours_above_parent`: for a branch switch, the EL's own block above the parent. A branch that begins with this
  /// block leaves our chain higher up, because the source changed after the search; its updates would name ancestors of
  /// the head.
  ImportPlan(const contract::ImportRange& range, std::uint64_t every, const contract::Labels& el,
             const std::optional<eth::BlockId>& confirmed_finalized,
             const std::optional<Hash32>& ours_above_parent = {});

  /// DATA_LOSS: `next` does not continue the chain, or the range ends at another hash. The source broke its promise.
  absl::Status check(const eth::BlockRef& next) const;
  /// The EL answered VALID for `block`. Returns the update that is due now, if any.
  std::optional<contract::Forkchoice> on_valid(const eth::BlockRef& block);
  /// The update for an import that ends early: it makes the last imported block the head.
  std::optional<contract::Forkchoice> finish_early() const;

  const eth::BlockId& last() const { return last_; }
  bool done() const { return last_.number == range_.tip.number; }
  /// The imported chain has another block at the height of the confirmed finalized block. Possible only after a start
  /// from a snapshot.
  bool contradicts_finalized() const { return contradicts_finalized_; }

 private:
  contract::Forkchoice update() const;
  contract::ImportRange range_;
  std::uint64_t every_;
  std::optional<eth::BlockId> confirmed_finalized_;
  std::optional<Hash32> ours_above_parent_;
  eth::BlockId last_;
  std::uint64_t since_update_ = 0;
  /// Requested labels that the chain has reached.
  std::optional<eth::BlockId> safe_;
  std::optional<eth::BlockId> finalized_;
  std::optional<eth::BlockId> el_safe_;
  bool below_confirmed_finalized_ = false;
  bool contradicts_finalized_ = false;
};

}  // namespace towline::driver
