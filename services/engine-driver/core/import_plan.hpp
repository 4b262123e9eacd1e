// One range import: which payload may be sent next, when a forkchoice update is due, and which labels it carries. Pure.
#pragma once
#include <absl/status/status.h>

#include <optional>

#include "services/engine-driver/core/gate.hpp"

namespace towline::driver {

/// Parameters of a forkchoice update; an absent label is sent as zero: leave it as it is.
struct Forkchoice {
  eth::BlockId head;
  std::optional<eth::BlockId> safe;
  std::optional<eth::BlockId> finalized;
};

class ImportPlan {
 public:
  struct Range {
    eth::BlockId parent;
    eth::BlockId tip;
    /// Wanted labels. One at or below the parent must be canonical in the EL already (the caller has checked it).
    std::optional<eth::BlockId> safe;
    std::optional<eth::BlockId> finalized;
    /// The payloads come from the p2p network's cache, not from the remote nodes.
    bool from_gossip = false;
    /// For a switch of branches: the EL's own block above the parent. A branch that begins with it leaves our chain
    /// higher up (the source changed its mind after the search), and updates would ask for ancestors of the head.
    std::optional<Hash32> ours_above_parent = {};
  };

  /// `every`: blocks between two updates. `el`: the labels before the import. `fence`: see Gate.
  ImportPlan(Range range, std::uint64_t every, const Labels& el, const std::optional<eth::BlockId>& fence);

  /// DATA_LOSS: `next` does not continue the chain, or the range ends at another hash: the source broke its word.
  absl::Status check(const eth::BlockRef& next) const;
  /// The EL said VALID to `block`. The update that is due now, if one is.
  std::optional<Forkchoice> on_valid(const eth::BlockRef& block);
  /// The update for an import that ends early: for what is imported and not yet the head.
  std::optional<Forkchoice> finish_early() const;

  const eth::BlockId& last() const { return last_; }
  bool done() const { return last_.number == range_.tip.number; }
  /// The imported chain has another block than the fence at its height (only after a start from a snapshot).
  bool contradicts_fence() const { return contradicts_fence_; }

 private:
  Forkchoice update() const;
  Range range_;
  std::uint64_t every_;
  std::optional<eth::BlockId> fence_;
  eth::BlockId last_;
  std::uint64_t since_update_ = 0;
  /// Labels that the chain has reached.
  std::optional<eth::BlockId> safe_;
  std::optional<eth::BlockId> finalized_;
  std::optional<eth::BlockId> el_safe_;
  bool below_fence_ = false;
  bool contradicts_fence_ = false;
};

}  // namespace towline::driver
