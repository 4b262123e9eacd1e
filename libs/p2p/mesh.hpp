// The mesh of one topic: the peers that get each message in full (gossipsub v1.0 and v1.1, "mesh maintenance"). Each
// heartbeat decides who is grafted and pruned: members with a negative score leave; a mesh below d_low grows to d; one
// above d_high shrinks to d, and keeps the d_score members with the best scores and d_out that we dialled; every 30 s,
// if the median score is low, two better peers are grafted. Pure.
#pragma once
#include <absl/container/btree_set.h>

#include <functional>
#include <random>
#include <vector>

#include "libs/p2p/peer_id.hpp"

namespace towline::p2p {

class Mesh {
 public:
  /// Numbers of peers.
  struct Degrees {
    int d = 8, d_low = 6, d_high = 12, d_score = 4, d_out = 2;
  };
  /// Facts about peers.
  struct Peers {
    std::function<double(const PeerId&)> score;
    /// Whether we dialled the peer.
    std::function<bool(const PeerId&)> outbound;
    /// Peers outside the mesh that may be grafted, in random order.
    std::function<std::vector<PeerId>()> candidates;
  };
  struct Changes {
    std::vector<PeerId> grafted, pruned;
  };
  static constexpr std::uint64_t kOpportunisticHeartbeats = 60;
  static constexpr double kOpportunisticThreshold = 0.05;
  static constexpr int kOpportunisticPeers = 2;

  const absl::btree_set<PeerId>& members() const { return members_; }
  std::size_t size() const { return members_.size(); }
  bool contains(const PeerId& peer) const { return members_.contains(peer); }
  bool insert(const PeerId& peer) { return members_.insert(peer).second; }
  bool erase(const PeerId& peer) { return members_.erase(peer) > 0; }
  /// Whether a GRAFT is accepted. A full mesh still takes peers that we dialled, so that strangers who dial us cannot
  /// fill it; the next heartbeat makes room.
  bool admits(double score, bool outbound, const Degrees& degrees) const;

  /// Runs a heartbeat: changes the mesh and returns the changes.
  Changes maintain(const Degrees& degrees, const Peers& peers, std::mt19937_64& random);

 private:
  void shrink(const Degrees& degrees, const Peers& peers, std::mt19937_64& random, Changes& out);
  void graft_better(const Peers& peers, Changes& out);
  void graft(const PeerId& peer, Changes& out);
  void prune(const PeerId& peer, Changes& out);

  absl::btree_set<PeerId> members_;
  std::uint64_t heartbeats_ = 0;
};

}  // namespace towline::p2p
