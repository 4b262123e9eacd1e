// All that a follower knows, in one place for the choices. Pure.
#pragma once
#include "services/sync-coordinator/core/backoff.hpp"
#include "services/sync-coordinator/core/branch_hold.hpp"
#include "services/sync-coordinator/core/gossip_view.hpp"
#include "services/sync-coordinator/core/local_chain.hpp"
#include "services/sync-coordinator/core/remote_view.hpp"
#include "services/sync-coordinator/core/stuck.hpp"
#include "services/sync-coordinator/core/sync_start.hpp"

namespace towline::coordinator {

struct Views {
  LocalChain local;
  RemoteView remote;
  GossipView gossip;
  BranchHold hold;
  Stuck stuck;
  Backoffs retry;
  SyncStart start = SyncStart{};

  /// The block up to which the source is followed: its head, or the block below those that the p2p network already
  /// delivered.
  std::optional<eth::BlockRef> goal() const;
  /// The facts for the way to `goal`. Requires a source that is heard.
  StartFacts start_facts(const eth::BlockRef& goal) const;
  /// The block that the tow is heading for, for display, and its distance in blocks; nullopt if unknown.
  std::optional<eth::BlockRef> target() const;
  std::optional<std::uint64_t> distance() const;
};

}  // namespace towline::coordinator
