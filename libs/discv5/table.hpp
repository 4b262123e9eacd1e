// The known nodes by distance from us: Kademlia buckets as in devp2p's discv5-theory, with limits on how many may share
// a network. Pure.
#pragma once
#include <absl/time/time.h>

#include <array>
#include <vector>

#include "libs/discv5/enr.hpp"

namespace towline::discv5 {

/// The position of the highest bit in which the two differ, 1 .. 256; 0 for the same node.
std::uint64_t log_distance(const NodeId& a, const NodeId& b);
/// Whether `a` is nearer to `target` than `b`.
bool nearer(const NodeId& target, const NodeId& a, const NodeId& b);

class Table {
 public:
  static constexpr std::size_t kBucketSize = 16, kSpares = 10, kBuckets = 17;
  /// Within one bucket and in all; addresses of local networks do not count.
  static constexpr std::size_t kPerNetworkInBucket = 2, kPerNetwork = 10;

  struct Node {
    Enr record;
    p2p::SocketAddress address;
    /// The node has answered at this address. Only live nodes are told to others.
    bool live = false;
    int failures = 0;
    absl::Time next_check = absl::InfinitePast();
  };
  explicit Table(const NodeId& local) : local_{local} {}

  /// Adds a new node, or the newer record of a known one. False: no room, or nothing new.
  bool add(const Enr& record, const p2p::SocketAddress& address);
  /// The node answered from `address`.
  void on_answer(const NodeId& id, const p2p::SocketAddress& address);
  /// The node did not answer. A node that never did is removed at once, others after three failures in a row.
  void on_failure(const NodeId& id, absl::Time next_check);

  void schedule(const NodeId& id, absl::Time next_check);

  const Node* find(const NodeId& id) const;
  /// At most n, the nearest first.
  std::vector<const Node*> closest(const NodeId& target, std::size_t n) const;
  /// The live nodes at a distance, which may be told to others.
  std::vector<const Node*> live_at(std::uint64_t distance) const;
  /// The node whose check is overdue the longest; null: none is due.
  const Node* due(absl::Time now) const;
  std::vector<const Node*> all() const;
  std::size_t size() const;
  std::size_t live() const;

 private:
  struct Bucket {
    std::vector<Node> nodes;
    /// Nodes that wait for a place; the newest last.
    std::vector<Node> spares;
  };
  std::size_t bucket_of(const NodeId& id) const;
  Node* mutable_find(const NodeId& id);
  bool network_has_room(const Bucket& bucket, const p2p::SocketAddress& address, const NodeId& except) const;

  const NodeId local_;
  /// The last bucket is the farthest half of the id space; all nodes nearer than 2^240 share the first.
  std::array<Bucket, kBuckets> buckets_;
};

}  // namespace towline::discv5
