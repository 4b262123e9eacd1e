// Our own address as the PONGs of others show it. An address is believed when 10 voters, and more than half of those
// that saw an address of the same family, agree. A voter's address has one vote, which counts for 30 minutes; at most
// 100 votes are kept. Pure.
#pragma once
#include <absl/container/flat_hash_map.h>
#include <absl/time/time.h>

#include "libs/p2p/multiaddr.hpp"

namespace towline::discv5 {

class AddressVote {
 public:
  static constexpr std::size_t kVotesWanted = 10, kMaxVotes = 100;
  static constexpr absl::Duration kCountsFor = absl::Minutes(30);

  /// Counts a vote; whether `seen` is our address now. Votes from or for a local network do not count: a neighbour
  /// there sees another address than the rest of the world.
  bool vote(const p2p::Ip& voter, const p2p::SocketAddress& seen, absl::Time now);

 private:
  struct Vote {
    p2p::SocketAddress seen;
    absl::Time at;
  };
  absl::flat_hash_map<p2p::Ip, Vote> votes_;
};

}  // namespace towline::discv5
