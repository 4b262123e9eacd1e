#include "tools/devnet/kept_chain.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace towline::devnet {
namespace {

class KeptChainTest : public ::testing::Test {
 protected:
  KeptChainTest() {
    std::filesystem::remove_all(dir);
    std::filesystem::create_directories(dir);
  }
  const std::filesystem::path dir = std::filesystem::path{::testing::TempDir()} / "kept_chain_test";
  const std::string path = dir / "devnet.json";
};

TEST_F(KeptChainTest, TheSameChainComesBackWithItsReorgsAndItsKeys) {
  KeptChain kept = keep_new({.seed = 7, .genesis_time = 1'700'000'000, .transactions = 1});
  sim::Chain chain{kept.options};
  const auto grow = [&](int blocks) {
    for (int i = 0; i < blocks; ++i) chain.append();
  };
  grow(20);
  kept.steps.push_back({20, 5});
  chain.reorg(5);
  grow(3);
  kept.steps.push_back({chain.head()->header.number, 0});
  chain.append(true);
  kept.steps.push_back({chain.head()->header.number, 2});
  chain.reorg(2);
  grow(4);
  kept.head = chain.head()->header.number;
  ASSERT_TRUE(write_kept_chain(path, kept).ok());

  const auto read = read_kept_chain(path);
  ASSERT_TRUE(read.ok() && *read) << read.status();
  EXPECT_EQ((*read)->jwt_secret, kept.jwt_secret);
  EXPECT_EQ((*read)->p2p_key, kept.p2p_key);
  EXPECT_EQ((*read)->signer_key, kept.signer_key);
  sim::Chain again{(*read)->options};
  rebuild(**read, again);
  EXPECT_EQ(again.head()->hash, chain.head()->hash);
  EXPECT_EQ(again.by_number(16)->hash, chain.by_number(16)->hash);
}

TEST_F(KeptChainTest, NothingThereIsNoError) {
  const auto read = read_kept_chain(path);
  ASSERT_TRUE(read.ok());
  EXPECT_FALSE(read->has_value());
}

TEST_F(KeptChainTest, AFileThatIsNoneIsAnErrorThatNamesIt) {
  for (const char* text : {"", "{}", R"({"flags": {"seed": "x"}})", "no json"}) {
    std::ofstream{path} << text;
    const auto read = read_kept_chain(path);
    EXPECT_TRUE(absl::IsInvalidArgument(read.status())) << text;
    EXPECT_NE(read.status().message().find("devnet.json"), std::string::npos) << read.status();
  }
}

TEST_F(KeptChainTest, FlagsThatMakeAnotherChainAreNamed) {
  const sim::ChainOptions kept{.seed = 7, .genesis_time = 5};
  EXPECT_EQ(other_flags(kept, kept), "");
  EXPECT_EQ(other_flags(kept, {.seed = 7, .genesis_time = 0}), "");
  EXPECT_EQ(other_flags(kept, {.seed = 8, .genesis_time = 6}), "--seed 7, --genesis-time 5");
}

}  // namespace
}  // namespace towline::devnet
