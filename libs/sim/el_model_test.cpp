// Each test is one measured answer, on both profiles if both were measured.
#include "libs/sim/el_model.hpp"

#include <gtest/gtest.h>

#include <map>

#include "libs/crypto/keccak.hpp"

namespace towline::sim {
namespace {

const ElProfile kBoth[] = {ElProfile::op_geth, ElProfile::op_reth};

Hash32 hash_for(std::uint64_t number, char branch) {
  const std::string text = std::string{branch} + std::to_string(number);
  return keccak256(as_bytes(text));
}

/// Block `number` of a branch that leaves 'a' after block `fork`.
eth::BlockRef block(std::uint64_t number, char branch = 'a', std::uint64_t fork = 0) {
  const char parent = branch != 'a' && number > fork + 1 ? branch : 'a';
  return {number, hash_for(number, branch), number == 0 ? Hash32{} : hash_for(number - 1, parent), 1000 + 2 * number};
}

struct El : ElModel {
  explicit El(ElProfile p, std::uint64_t head = 0) : ElModel{p, block(0)} {
    for (std::uint64_t n = 1; n <= head; ++n) {
      EXPECT_EQ(new_payload(block(n)).status, ElStatus::valid);
      if (n % 32 == 0 || n == head) fcu(n);
    }
  }
  ElAnswer fcu(std::uint64_t head, std::uint64_t safe = 0, std::uint64_t finalized = 0) {
    return forkchoice_updated(block(head).hash, safe ? block(safe).hash : Hash32{},
                              finalized ? block(finalized).hash : Hash32{});
  }
  std::uint64_t safe_number() const { return safe() ? safe()->number : 0; }
  std::uint64_t finalized_number() const { return finalized() ? finalized()->number : 0; }
};

TEST(ElModel, FreshNodeHasNoLabels) {
  for (auto p : kBoth) {
    El el{p};
    EXPECT_FALSE(el.safe());
    EXPECT_FALSE(el.finalized());
    EXPECT_EQ(el.latest().number, 0U);
  }
}

TEST(ElModel, ImportsAheadOfTheHead) {
  for (auto p : kBoth) {
    El el{p, 10};
    for (std::uint64_t n = 11; n <= 300; ++n) {
      const bool valid = p == ElProfile::op_reth || n <= 139;
      EXPECT_EQ(el.new_payload(block(n)).status, valid ? ElStatus::valid : ElStatus::syncing) << n;
    }
    EXPECT_EQ(el.fcu(139).status, ElStatus::valid);
    EXPECT_EQ(el.latest(), block(139));
  }
}

TEST(ElModel, UpdateToAnAncestor) {
  for (auto p : kBoth) {
    El el{p, 250};
    el.fcu(250, 100, 90);
    for (std::uint64_t back : {5U, 30U, 200U}) {
      EXPECT_EQ(el.fcu(250 - back, 40, 30).status, ElStatus::valid);
      EXPECT_EQ(el.latest().number, 250U);
    }
    EXPECT_EQ(el.safe_number(), p == ElProfile::op_geth ? 40U : 100U);
    EXPECT_EQ(el.finalized_number(), p == ElProfile::op_geth ? 30U : 90U);
  }
}

TEST(ElModel, ZeroLabelsStay) {
  for (auto p : kBoth) {
    El el{p, 50};
    el.fcu(50, 40, 30);
    EXPECT_EQ(el.fcu(50).error_code, 0);
    EXPECT_EQ(el.safe_number(), 40U);
    EXPECT_EQ(el.finalized_number(), 30U);
  }
}

TEST(ElModel, UnknownLabelIsRefusedAfterTheHeadMoved) {
  for (auto p : kBoth) {
    for (bool safe : {true, false}) {
      El el{p, 50};
      el.fcu(50, 40, 30);
      el.new_payload(block(51));
      const Hash32 strange = hash_for(1, 'x');
      EXPECT_EQ(el.forkchoice_updated(block(51).hash, safe ? strange : Hash32{}, safe ? Hash32{} : strange).error_code,
                -38002);
      EXPECT_EQ(el.latest().number, 51U);
      EXPECT_EQ(el.safe_number(), 40U);
      EXPECT_EQ(el.finalized_number(), 30U);
    }
  }
}

TEST(ElModel, LabelOnAnotherBranch) {
  El el{ElProfile::op_geth, 50};
  el.fcu(50, 48, 30);
  for (std::uint64_t n = 46; n <= 52; ++n) EXPECT_EQ(el.new_payload(block(n, 'b', 45)).status, ElStatus::valid);
  EXPECT_EQ(el.forkchoice_updated(block(52, 'b', 45).hash, block(48).hash, block(30).hash).error_code, -38002);
  EXPECT_EQ(el.latest(), block(52, 'b', 45));
  EXPECT_EQ(el.safe(), block(48));  // off the chain now
}

TEST(ElModel, LabelOrderIsNotEnforced) {
  for (auto p : kBoth) {
    El el{p, 50};
    el.new_payload(block(51));
    EXPECT_EQ(el.fcu(50, 51, 0).error_code, 0);  // safe above the head
    EXPECT_EQ(el.safe_number(), p == ElProfile::op_geth ? 51U : 0U);
    EXPECT_EQ(el.fcu(50, 20, 40).error_code, 0);  // finalized above safe
    EXPECT_EQ(el.safe_number(), 20U);
    EXPECT_EQ(el.finalized_number(), 40U);
    EXPECT_EQ(el.fcu(50, 10, 5).error_code, 0);  // both lower than before
    EXPECT_EQ(el.safe_number(), 10U);
    EXPECT_EQ(el.finalized_number(), 5U);
  }
}

TEST(ElModel, UnknownParentThenFillTheGap) {
  for (auto p : kBoth) {
    El el{p, 10};
    EXPECT_EQ(el.new_payload(block(12)).status, ElStatus::syncing);
    EXPECT_EQ(el.fcu(12, 9, 8).status, ElStatus::syncing);
    EXPECT_EQ(el.latest().number, 10U);
    EXPECT_FALSE(el.safe());
    EXPECT_EQ(el.fcu(10).status, ElStatus::valid);
    EXPECT_EQ(el.new_payload(block(11)).status, ElStatus::valid);
    EXPECT_EQ(el.new_payload(block(12)).status, ElStatus::valid);
    EXPECT_EQ(el.fcu(12).status, ElStatus::valid);
    EXPECT_EQ(el.latest().number, 12U);
  }
}

TEST(ElModel, WrongHash) {
  El geth{ElProfile::op_geth, 5};
  ElAnswer a = geth.new_payload(block(6), {.hash_matches = false});
  EXPECT_EQ(a.status, ElStatus::invalid);
  EXPECT_FALSE(a.latest_valid_hash);
  El reth{ElProfile::op_reth, 5};
  a = reth.new_payload(block(6), {.hash_matches = false});
  EXPECT_EQ(a.status, ElStatus::invalid);
  EXPECT_EQ(a.latest_valid_hash, block(5).hash);
  EXPECT_FALSE(reth.by_hash(block(6).hash));
}

TEST(ElModel, WrongVersion) {
  El geth{ElProfile::op_geth, 5};
  EXPECT_EQ(geth.new_payload(block(6), {.version_fits = false}).error_code, -38005);
  El reth{ElProfile::op_reth, 5};
  const ElAnswer a = reth.new_payload(block(6), {.version_fits = false});
  EXPECT_EQ(a.error_code, 0);
  EXPECT_EQ(a.status, ElStatus::invalid);
}

TEST(ElModel, KnownBlocksAreValid) {
  for (auto p : kBoth) {
    El el{p, 200};
    EXPECT_EQ(el.new_payload(block(200)).status, ElStatus::valid);
    EXPECT_EQ(el.new_payload(block(3)).status, ElStatus::valid);
  }
}

TEST(ElModel, ZeroHead) {
  El geth{ElProfile::op_geth, 5};
  EXPECT_EQ(geth.forkchoice_updated({}, {}, {}).status, ElStatus::invalid);
  EXPECT_EQ(geth.forkchoice_updated({}, {}, {}).error_code, 0);
  El reth{ElProfile::op_reth, 5};
  EXPECT_EQ(reth.forkchoice_updated({}, {}, {}).error_code, -38002);
}

TEST(ElModel, BranchThatForks30Below) {
  for (auto p : kBoth) {
    El el{p, 100};
    for (std::uint64_t n = 71; n <= 101; ++n) EXPECT_EQ(el.new_payload(block(n, 'b', 70)).status, ElStatus::valid);
    EXPECT_EQ(el.forkchoice_updated(block(101, 'b', 70).hash, {}, {}).status, ElStatus::valid);
    EXPECT_EQ(el.latest(), block(101, 'b', 70));
    EXPECT_EQ(el.by_number(71), block(71, 'b', 70));
    EXPECT_EQ(el.by_number(70), block(70));
  }
}

TEST(ElModel, BranchThatForks200Below) {
  El geth{ElProfile::op_geth, 300};
  EXPECT_EQ(geth.new_payload(block(101, 'b', 100)).status, ElStatus::accepted);
  EXPECT_EQ(geth.new_payload(block(102, 'b', 100)).status, ElStatus::syncing);
  EXPECT_EQ(geth.forkchoice_updated(block(102, 'b', 100).hash, {}, {}).status, ElStatus::syncing);
  EXPECT_EQ(geth.latest(), block(300));
  // debug_setHead lets it in.
  geth.fcu(300, 250, 200);
  ASSERT_TRUE(geth.set_head(100));
  EXPECT_EQ(geth.latest(), block(100));
  EXPECT_EQ(geth.safe_number(), 100U);
  EXPECT_EQ(geth.finalized_number(), 100U);
  EXPECT_EQ(geth.new_payload(block(101, 'b', 100)).status, ElStatus::valid);

  El reth{ElProfile::op_reth, 300};
  for (std::uint64_t n = 101; n <= 301; ++n) EXPECT_EQ(reth.new_payload(block(n, 'b', 100)).status, ElStatus::valid);
  EXPECT_EQ(reth.forkchoice_updated(block(301, 'b', 100).hash, {}, {}).status, ElStatus::valid);
  EXPECT_EQ(reth.latest(), block(301, 'b', 100));
  EXPECT_FALSE(reth.set_head(100));
}

TEST(ElModel, Kill) {
  El geth{ElProfile::op_geth, 410};
  geth.fcu(410, 390, 380);
  geth.kill();
  EXPECT_EQ(geth.latest().number, 256U);
  EXPECT_FALSE(geth.safe());
  EXPECT_FALSE(geth.finalized());
  EXPECT_FALSE(geth.by_number(257));
  EXPECT_EQ(geth.new_payload(block(411)).status, ElStatus::accepted);
  for (std::uint64_t n = 257; n <= 300; ++n) EXPECT_EQ(geth.new_payload(block(n)).status, ElStatus::valid);
  EXPECT_EQ(geth.fcu(300).status, ElStatus::valid);
  EXPECT_EQ(geth.latest().number, 300U);
  EXPECT_EQ(geth.by_number(257), block(257));

  El low{ElProfile::op_geth, 500};
  low.fcu(500, 150, 150);
  low.kill();
  EXPECT_EQ(low.latest().number, 346U);
  EXPECT_EQ(low.safe_number(), 150U);
  EXPECT_EQ(low.finalized_number(), 150U);

  El reth{ElProfile::op_reth, 410};
  reth.fcu(410, 390, 380);
  reth.kill();
  EXPECT_EQ(reth.latest().number, 410U);
  EXPECT_EQ(reth.safe_number(), 390U);
  EXPECT_EQ(reth.finalized_number(), 380U);
}

TEST(ElModel, SyncsByItselfToABlockThatItWasSent) {
  for (auto p : kBoth) {
    El el{p, 10};
    EXPECT_EQ(el.fcu(500).status, ElStatus::syncing);
    EXPECT_FALSE(el.sync_target()) << "it has no header of it";
    EXPECT_EQ(el.new_payload(block(500)).status, ElStatus::syncing);
    EXPECT_EQ(el.fcu(500).status, ElStatus::syncing);
    EXPECT_EQ(el.sync_target(), block(500));
    el.sync(1000);
    EXPECT_EQ(el.latest(), block(10)) << "without peers it waits";
    EXPECT_EQ(el.new_payload(block(11)).status, ElStatus::valid) << "and executes what it is given";
    std::map<Hash32, eth::BlockRef> chain;
    for (std::uint64_t n = 0; n <= 500; ++n) chain[block(n).hash] = block(n);
    el.set_peers([chain](const Hash32& h) { return std::optional{chain.at(h)}; });
    el.sync(100);
    EXPECT_EQ(el.latest(), block(111));
    EXPECT_EQ(el.fcu(500).status, ElStatus::syncing);
    el.sync(1000);
    EXPECT_EQ(el.latest(), block(500));
    EXPECT_FALSE(el.sync_target());
    EXPECT_EQ(el.fcu(500, 490, 480).status, ElStatus::valid);
    EXPECT_EQ(el.by_number(300), block(300));
  }
}

TEST(ElModel, InSnapModeNothingIsExecutedOnTheGenesis) {
  El el{ElProfile::op_geth};
  el.set_snap(true);
  EXPECT_EQ(el.new_payload(block(1)).status, ElStatus::syncing);
  el.set_peers([](const Hash32& h) { return h == block(1).hash ? std::optional{block(1)} : std::optional{block(0)}; });
  EXPECT_EQ(el.new_payload(block(2)).status, ElStatus::syncing);
  EXPECT_EQ(el.fcu(2).status, ElStatus::syncing);
  el.sync(9);
  EXPECT_EQ(el.fcu(2).status, ElStatus::valid);
  EXPECT_EQ(el.new_payload(block(3)).status, ElStatus::valid);
}

}  // namespace
}  // namespace towline::sim
