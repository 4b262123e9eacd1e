// What an EL cannot take: a branch whose state it does not have, which it waits for, is rewound for, or needs an
// operator for; a target that it calls INVALID; a source that contradicts what is final. Pure.
#pragma once
#include <optional>
#include <string>

#include "services/sync-coordinator/core/local_chain.hpp"
#include "services/sync-coordinator/core/remote_view.hpp"

namespace towline::coordinator {

/// Why the EL is not rewound to `parent` for the branch that the sources have from there on; empty: it may be. A rewind
/// throws away what the EL has, on their word alone.
std::string against_rewind(const LocalChain& local, const RemoteView& remote, const eth::BlockId& parent);

class Stuck {
 public:
  /// The EL is rewound and why, or what is said while it is not.
  struct Answer {
    std::optional<std::string> rewind;
    Status status;
  };
  /// The EL does not take what stands on `parent`. `switches`: that is not its head.
  Answer on_refused(const eth::BlockId& parent, bool switches, const std::string& why, const LocalChain& local,
                    const RemoteView& remote, absl::Time now);
  /// It is not given up: the branch of most sources is tried there again and again.
  void stay_at(const eth::BlockId& parent, absl::Time now);
  /// What the sources say now, or that none is heard: if that is against a rewind for some seconds it has to wait its
  /// whole time again.
  void on_sources(const LocalChain& local, const RemoteView& remote, absl::Time now);
  void on_invalid(const Hash32& target, const eth::BlockId& block);
  /// The target is asked for again: an EL's restart may have healed it.
  void forgive() { invalid_target_.reset(); }
  void on_diverged(const std::optional<eth::BlockId>& theirs) { diverged_remote_ = theirs; }
  void on_common_block() { diverged_remote_.reset(); }
  /// Our head is on the chain that is followed.
  void on_followed();

  bool at_a_block() const { return stuck_at_.has_value(); }
  /// The target ends in a block that the EL calls INVALID.
  bool is_invalid(const Hash32& target) const { return invalid_target_ == target; }
  const std::optional<eth::BlockId>& invalid_block() const { return invalid_block_; }
  /// What the source has where it contradicts what is final here.
  const std::optional<eth::BlockId>& diverged_remote() const { return diverged_remote_; }

 private:
  /// Where the branch leaves ours, and since when it is tried.
  std::optional<eth::BlockId> stuck_at_;
  absl::Time since_;
  /// `against`: something is against a rewind.
  void note_rewind(bool against, absl::Time now);

  /// Since when the EL may be rewound there, and since when it may not.
  std::optional<absl::Time> may_rewind_since_, may_not_since_;
  std::optional<Hash32> invalid_target_;
  std::optional<eth::BlockId> invalid_block_;
  std::optional<eth::BlockId> diverged_remote_;
};

}  // namespace towline::coordinator
