#include "libs/sim/chain.hpp"

#include <gtest/gtest.h>

#include "libs/eth/deposits.hpp"
#include "libs/rollup/config.hpp"

namespace towline::sim {
namespace {

ChainOptions options() {
  ChainOptions o;
  o.genesis_time = 1'764'700'000;
  return o;
}

TEST(Chain, BlocksVerifyAndNameTheirOrigin) {
  Chain chain{options()};
  const auto config = rollup::parse_config(chain.rollup_json());
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->l2_genesis, chain.head()->ref().id());
  EXPECT_EQ(config->fork_at(options().genesis_time), rollup::Fork::jovian);
  for (int i = 0; i < 30; ++i) {
    const BlockPtr b = chain.append();
    EXPECT_EQ(rollup::verify_block(*config, b->header, b->hash, b->transactions), absl::OkStatus());
    const auto info = eth::decode_l1_info(b->transactions[0]);
    ASSERT_TRUE(info.ok()) << info.status();
    EXPECT_EQ(info->layout, eth::L1InfoLayout::jovian);
    EXPECT_EQ(info->origin, chain.l1_origin(b->header.number).id());
    EXPECT_EQ(info->sequence_number, b->header.number % 6);
    EXPECT_EQ(chain.by_hash(b->header.parent_hash)->header.number + 1, b->header.number);
  }
}

TEST(Chain, PosesAsAnotherOne) {
  ChainOptions o = options();
  const auto network = rollup::network("base-mainnet");
  ASSERT_TRUE(network.ok());
  o.chain_id = network->l2_chain_id;
  o.genesis_hash = network->l2_genesis.hash;
  Chain chain{o};
  EXPECT_EQ(rollup::parse_config(chain.rollup_json())->l2_genesis, network->l2_genesis);
  EXPECT_EQ(chain.append()->header.parent_hash, network->l2_genesis.hash);
  EXPECT_EQ(chain.by_hash(network->l2_genesis.hash), chain.by_number(0));
}

TEST(Chain, IsDeterministic) {
  Chain a{options()};
  Chain b{options()};
  ChainOptions other = options();
  other.seed = 2;
  Chain c{other};
  EXPECT_EQ(a.append()->hash, b.append()->hash);
  EXPECT_NE(a.head()->hash, c.append()->hash);
}

TEST(Chain, ReorgKeepsTheOldBranchByHash) {
  Chain chain{options()};
  for (int i = 0; i < 20; ++i) chain.append();
  chain.set_labels(18, 10);
  const BlockPtr old = chain.head();
  const BlockPtr fork = chain.by_number(15);
  chain.reorg(5);
  EXPECT_EQ(chain.head()->header.number, 21U);
  EXPECT_EQ(chain.by_number(15), fork);
  EXPECT_NE(chain.by_number(20), old);
  EXPECT_EQ(chain.by_hash(old->hash), old);
  EXPECT_EQ(chain.by_number(16)->header.parent_hash, fork->hash);
  EXPECT_EQ(chain.safe(), fork);
  EXPECT_EQ(chain.finalized()->header.number, 10U);
  EXPECT_EQ(chain.by_number(22), nullptr);
}

}  // namespace
}  // namespace towline::sim
