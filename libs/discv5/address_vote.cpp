#include "libs/discv5/address_vote.hpp"

namespace towline::discv5 {

bool AddressVote::vote(const p2p::Ip& voter, const p2p::SocketAddress& seen, absl::Time now) {
  if (p2p::is_local(voter) || p2p::is_local(seen.ip) || seen.port == 0) return false;
  absl::erase_if(votes_, [&](const auto& v) { return v.second.at + kCountsFor < now; });
  if (votes_.size() >= kMaxVotes && !votes_.contains(voter)) return false;
  votes_[voter] = {seen, now};
  std::size_t same = 0, all = 0;
  for (const auto& [who, v] : votes_) {
    if (p2p::is_ip4(v.seen.ip) != p2p::is_ip4(seen.ip)) continue;
    ++all;
    if (v.seen == seen) ++same;
  }
  return same >= kVotesWanted && same * 2 > all;
}

}  // namespace towline::discv5
