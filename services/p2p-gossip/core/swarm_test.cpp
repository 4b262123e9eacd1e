#include "services/p2p-gossip/core/swarm.hpp"

#include <gmock/gmock.h>

namespace towline::gossip {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

p2p::PeerId peer(std::uint8_t i) {
  return p2p::PublicKey::of(secp256k1::SecretKey::from(Bytes(32, i))->public_key()).peer_id();
}

TEST(Swarm, NamesWhatWeighsMostInABadScore) {
  struct Case {
    double score, app, colocation;
    const char *reason, *why;
  };
  for (const auto& c :
       {Case{-100, -100, 0, "messages", "score -100: 7 of its messages break the rules"},
        Case{-100, -40, -30, "messages", "break the rules"},
        Case{-100, 0, 0, "behaviour", "it grafts against our will"},
        Case{-100, -20, -20, "behaviour", "does not send what it announces"},
        Case{-100, 0, -100, "address", "too many peers"}, Case{-100, -20, -50, "address", "too many peers"}}) {
    p2p::Gossipsub::PeerView v;
    v.app = c.app;
    v.colocation = c.colocation;
    v.rejected = 7;
    const ScoreFault f = fault_of(c.score, v);
    EXPECT_STREQ(f.reason, c.reason) << c.app << ' ' << c.colocation;
    EXPECT_THAT(f.why, HasSubstr(c.why));
  }
}

TEST(Swarm, TheAddressIsBannedWithThePeerUnlessOthersHaveARightToIt) {
  const auto ip = p2p::ip4(8, 8, 8, 8);
  EXPECT_THAT(ban_targets(peer(1), {{peer(1), ip}, {peer(2), p2p::ip4(8, 8, 8, 9), true}}),
              ElementsAre(peer(1).to_string(), "8.8.8.8"));
  EXPECT_THAT(ban_targets(peer(1), {{peer(1), ip}, {peer(2), ip}}), ElementsAre(peer(1).to_string(), "8.8.8.8"));
  EXPECT_THAT(ban_targets(peer(1), {{peer(1), ip}, {peer(2), ip, true}}), ElementsAre(peer(1).to_string()))
      << "a static peer has it";
  EXPECT_THAT(ban_targets(peer(1), {{peer(1), p2p::ip4(192, 168, 0, 1)}}), ElementsAre(peer(1).to_string()))
      << "it may be a proxy";
  EXPECT_THAT(ban_targets(peer(1), {}), ElementsAre(peer(1).to_string())) << "it has gone meanwhile";
}

TEST(Swarm, ABanLetsGoAllThatItNamesButStaticPeers) {
  const std::vector<SwarmPeer> connected{
      {peer(1), p2p::ip4(8, 8, 8, 8)}, {peer(2), p2p::ip4(8, 8, 8, 8), true}, {peer(3), p2p::ip4(8, 8, 8, 9)}};
  EXPECT_THAT(let_go("8.8.8.8", connected), ElementsAre(peer(1)));
  EXPECT_THAT(let_go(peer(3).to_string(), connected), ElementsAre(peer(3)));
  EXPECT_THAT(let_go(peer(2).to_string(), connected), IsEmpty());
}

TEST(Swarm, LabelsWhyAConnectionEnded) {
  EXPECT_STREQ(label_of(absl::UnavailableError("")), "closed");
  EXPECT_STREQ(label_of(absl::DeadlineExceededError("")), "timeout");
  EXPECT_STREQ(label_of(absl::ResourceExhaustedError("")), "limit");
  EXPECT_STREQ(label_of(absl::PermissionDeniedError("")), "banned");
  EXPECT_STREQ(label_of(absl::AlreadyExistsError("")), "replaced");
  EXPECT_STREQ(label_of(absl::InvalidArgumentError("")), "protocol");
}

}  // namespace
}  // namespace towline::gossip
