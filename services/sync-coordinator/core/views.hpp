// What a follower knows, in one place for those who choose. Pure.
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

  /// What the source is followed to: its head, or the block before those that the p2p network has already brought.
  std::optional<eth::BlockRef> goal() const;
  /// For the way to `goal`, which a source that is heard shows.
  StartFacts start_facts(const eth::BlockRef& goal) const;
  /// What the tow is on its way to, for people, and how far it is; nullopt: not known.
  std::optional<eth::BlockRef> target() const;
  std::optional<std::uint64_t> distance() const;
};

}  // namespace towline::coordinator
