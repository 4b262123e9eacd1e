#include "tools/towline/supervisor.hpp"

#include <absl/strings/str_split.h>
#include <gtest/gtest.h>

#include <set>

#include "libs/http/url.hpp"

namespace towline::cli {
namespace {

TEST(Up, KnowsEveryServiceThatIsBuilt) {
  const std::set<std::string> built = absl::StrSplit(TOWLINE_SERVICES, ',');
  EXPECT_EQ(std::set<std::string>(kServices.begin(), kServices.end()), built);
}

TEST(Up, GossipRunsWhereItCanFindPeersAndTheSignerIsKnown) {
  UpOptions o;
  o.network = "op-mainnet";
  EXPECT_TRUE(runs_gossip(o)) << "boot nodes and signer are embedded";
  o.unsafe_source = "remote";
  EXPECT_FALSE(runs_gossip(o));
  o.unsafe_source = "gossip";
  EXPECT_TRUE(runs_gossip(o));
  o.p2p_disable = true;
  EXPECT_FALSE(runs_gossip(o));

  UpOptions own;
  own.rollup_config = "rollup.json";
  EXPECT_FALSE(runs_gossip(own)) << "nobody to begin with";
  own.environment["p2p-gossip"] = {{"TOWLINE_P2P_BOOTNODES", "enr:x"}};
  EXPECT_TRUE(runs_gossip(own));
  own.environment["p2p-gossip"] = {{"TOWLINE_P2P_STATIC", "/ip4/127.0.0.1/tcp/1/p2p/x"}};
  EXPECT_TRUE(runs_gossip(own));
}

TEST(Up, ClocksAreThoseOfTheUrlsAlone) {
  const std::vector<std::string> sources = {"https://host/key", "group=a", "wss://other:1/key", "http://third:2"};
  EXPECT_EQ(clock_sources(sources),
            (std::vector<std::string>{http::redact_url("https://host/key"), "https://other:1", "http://third:2"}));
}

}  // namespace
}  // namespace towline::cli
