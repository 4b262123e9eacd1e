// What an EL cannot accept: a branch whose state it lacks (wait, rewind, or ask for an operator), a target that it
// calls INVALID, and a source that contradicts our finalized chain. Pure.
#pragma once
#include <optional>
#include <string>

#include "services/sync-coordinator/core/local_chain.hpp"
#include "services/sync-coordinator/core/remote_view.hpp"

namespace towline::coordinator {

/// Why the EL may not be rewound to `parent` for the sources' branch above it; empty: it may. A rewind discards the
/// EL's blocks on the word of the sources alone.
std::string against_rewind(const LocalChain& local, const RemoteView& remote, const eth::BlockId& parent);

class Stuck {
 public:
  /// Either a rewind and its reason, or the status to show while there is none.
  struct Answer {
    std::optional<std::string> rewind;
    Status status;
  };
  /// The EL does not accept blocks on `parent`. `switches`: `parent` is not the EL's head.
  Answer on_refused(const eth::BlockId& parent, bool switches, const std::string& why, const LocalChain& local,
                    const RemoteView& remote, absl::Time now);
  /// The majority's branch is retried at `parent` until it succeeds.
  void stay_at(const eth::BlockId& parent, absl::Time now);
  /// Sources changed, or none is heard. If they speak against a rewind for some seconds, its waiting time starts anew.
  void on_sources(const LocalChain& local, const RemoteView& remote, absl::Time now);
  void on_invalid(const Hash32& target, const eth::BlockId& block);
  /// The target may be asked for again: a restart may have healed the EL.
  void forgive() { invalid_target_.reset(); }
  void on_diverged(const std::optional<eth::BlockId>& theirs) { diverged_remote_ = theirs; }
  void on_common_block() { diverged_remote_.reset(); }
  /// Our head is on the followed chain.
  void on_followed();

  bool at_a_block() const { return stuck_at_.has_value(); }
  /// The target ends in a block that the EL calls INVALID.
  bool is_invalid(const Hash32& target) const { return invalid_target_ == target; }
  const std::optional<eth::BlockId>& invalid_block() const { return invalid_block_; }
  /// The source's block where it contradicts our finalized chain.
  const std::optional<eth::BlockId>& diverged_remote() const { return diverged_remote_; }

 private:
  /// The parent that the EL does not accept blocks on, and since when.
  std::optional<eth::BlockId> stuck_at_;
  absl::Time since_;
  /// `against`: something speaks against a rewind.
  void note_rewind(bool against, absl::Time now);

  /// Since when a rewind is allowed, and since when it is not.
  std::optional<absl::Time> may_rewind_since_, may_not_since_;
  std::optional<Hash32> invalid_target_;
  std::optional<eth::BlockId> invalid_block_;
  std::optional<eth::BlockId> diverged_remote_;
};

}  // namespace towline::coordinator
