#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "libs/base/hex.hpp"
#include "libs/eth/header.hpp"
#include "libs/eth/payload.hpp"
#include "libs/rollup/config.hpp"
#include "tests/support/sample_blocks.hpp"
#include "tests/support/vectors.hpp"

namespace towline::rollup {
namespace {

using nlohmann::json;

json devnet() { return json::parse(towline::testing::read_vector("devnet-forks-rollup.json")); }

TEST(Config, ReadsARealOne) {
  auto c = parse_config(towline::testing::read_vector("op-sepolia-rollup.json"));
  ASSERT_TRUE(c.ok()) << c.status();
  EXPECT_EQ(c->l1_chain_id, 11155111U);
  EXPECT_EQ(c->l2_chain_id, 11155420U);
  EXPECT_EQ(c->block_time, 2U);
  EXPECT_EQ(c->l2_time, 1691802540U);
  EXPECT_EQ(c->l1_genesis.number, 4071408U);
  EXPECT_EQ(to_hex(c->l2_genesis.hash.view()), "0x102de6ffb001480cc9b8b548fd05c34cd4f46ae4aa91759393db90ea0409887d");
  EXPECT_TRUE(c->unknown_forks.empty());
  EXPECT_EQ(c->fork_at(1699981199), Fork::bedrock);
  EXPECT_EQ(c->fork_at(1699981200), Fork::canyon);
  EXPECT_EQ(c->fork_at(1732633200), Fork::holocene);
  EXPECT_EQ(c->fork_at(~std::uint64_t{0}), Fork::isthmus);
}

TEST(Config, EveryForkStartsAtItsTime) {
  auto c = parse_config(devnet().dump());
  ASSERT_TRUE(c.ok()) << c.status();
  EXPECT_EQ(c->fork_at(c->l2_time), Fork::regolith);
  for (auto f : {Fork::canyon, Fork::delta, Fork::ecotone, Fork::fjord, Fork::granite, Fork::holocene, Fork::isthmus,
                 Fork::jovian}) {
    const auto t = *c->fork_times[static_cast<std::size_t>(f)];
    EXPECT_EQ(c->fork_at(t), f) << name(f);
    EXPECT_LT(c->fork_at(t - 1), f) << name(f);
    EXPECT_EQ(new_payload_version(*c, t), f >= Fork::isthmus ? 4 : f >= Fork::ecotone ? 3 : 2) << name(f);
  }
}

TEST(Config, ForksThatAreNotKnownAreNamed) {
  json doc = devnet();
  doc["karst_time"] = 1795370838;
  doc["interop_time"] = 1795370848;
  doc["mesa_time"] = 1795370858;
  doc["base"] = {{"azul", 1795370860}, {"denim", nullptr}};
  auto c = parse_config(doc.dump());
  ASSERT_TRUE(c.ok()) << c.status();
  EXPECT_EQ(c->fork_at(1795370838), Fork::karst);
  EXPECT_EQ(c->fork_at(1795370848), Fork::lagoon);
  EXPECT_EQ(new_payload_version(*c, 1795370848), 4);
  EXPECT_EQ(c->unknown_forks, (UnknownForks{{"mesa_time", 1795370858}, {"base.azul", 1795370860}}));
}

TEST(Config, KeysThatAreNotNeededAreIgnored) {
  json doc = devnet();
  doc["something_new"] = {1, 2, 3};
  doc["pectra_blob_schedule_time"] = 1;
  doc["jovian_time"] = nullptr;
  auto c = parse_config(doc.dump());
  ASSERT_TRUE(c.ok()) << c.status();
  EXPECT_TRUE(c->unknown_forks.empty());
  EXPECT_EQ(c->fork_at(~std::uint64_t{0}), Fork::isthmus);
}

TEST(Config, WhatIsWrongIsNamed) {
  const auto expect = [](const char* key, auto change) {
    json doc = devnet();
    change(doc);
    const auto st = parse_config(doc.dump()).status();
    EXPECT_EQ(st.code(), absl::StatusCode::kInvalidArgument) << key;
    EXPECT_NE(st.message().find(key), absl::string_view::npos) << key << ": " << st;
  };
  expect("l2_chain_id", [](json& d) { d.erase("l2_chain_id"); });
  expect("l2_chain_id", [](json& d) { d["l2_chain_id"] = "901"; });
  expect("l2_chain_id", [](json& d) { d["l2_chain_id"] = 0; });
  expect("l2_chain_id", [](json& d) { d["l2_chain_id"] = d["l1_chain_id"]; });
  expect("l1_chain_id", [](json& d) { d["l1_chain_id"] = -1; });
  expect("block_time", [](json& d) { d["block_time"] = 0; });
  expect("block_time", [](json& d) { d["block_time"] = 0.2; });
  expect("genesis", [](json& d) { d.erase("genesis"); });
  expect("genesis.l1", [](json& d) { d["genesis"].erase("l1"); });
  expect("genesis.l2.hash", [](json& d) { d["genesis"]["l2"]["hash"] = "0x1234"; });
  expect("genesis.l2.hash", [](json& d) { d["genesis"]["l2"]["hash"] = to_hex(Hash32{}.view()); });
  expect("genesis.l2.hash", [](json& d) { d["genesis"]["l2"]["hash"] = d["genesis"]["l1"]["hash"]; });
  expect("l2_time", [](json& d) { d["genesis"].erase("l2_time"); });
  expect("canyon_time", [](json& d) { d["canyon_time"] = "soon"; });
  expect("jovian_time", [](json& d) { d["jovian_time"] = 1795370757; });
  expect("lagoon", [](json& d) {
    d["interop_time"] = 1895370757;
    d["lagoon_time"] = 1895370758;
  });
  EXPECT_FALSE(parse_config("").ok());
  EXPECT_FALSE(parse_config("[]").ok());
  EXPECT_FALSE(parse_config("{\"l1_chain_id\":").ok());
}

TEST(Network, EveryEntryOfTheTableIsWellFormed) {
  const auto names = network_names();
  EXPECT_EQ(names.size(), 54U);
  for (const auto& n : names) {
    auto c = network(n);
    ASSERT_TRUE(c.ok()) << n << ": " << c.status();
    EXPECT_EQ(c->network, n);
    EXPECT_EQ(c->unknown_forks.empty(), !n.starts_with("base-")) << n;
    EXPECT_TRUE(c->unsafe_block_signer && c->l1_system_config) << n;
  }
}

// Corrections and additions to the registry that the table comes from; networks.md has their origins.
TEST(Network, WhatTheRegistryHasNot) {
  const struct {
    const char* network;
    Fork fork;
    std::uint64_t time;
  } facts[] = {{"celo-mainnet", Fork::jovian, 1774958788},      {"celo-sep-sepolia", Fork::isthmus, 0},
               {"celo-sep-sepolia", Fork::jovian, 1773749037},  {"worldchain-mainnet", Fork::karst, 1789992000},
               {"worldchain-sepolia", Fork::karst, 1788868800}, {"boba-sepolia", Fork::isthmus, 1787227200},
               {"boba-sepolia", Fork::jovian, 1787659200},      {"fraxtal-mainnet", Fork::holocene, 1744052401},
               {"fraxtal-mainnet", Fork::isthmus, 1755716401},  {"bob-mainnet", Fork::jovian, 1773325801},
               {"lyra-mainnet", Fork::jovian, 1769065201},      {"shape-mainnet", Fork::holocene, 1739880000}};
  for (const auto& f : facts)
    EXPECT_EQ(network(f.network)->fork_times[static_cast<std::size_t>(f.fork)], f.time) << f.network << name(f.fork);
  EXPECT_EQ(to_hex(network("celo-sep-sepolia")->l2_genesis.hash.view()),
            "0xabcc77fb92a7ea1e7d330042d81200585d251355b33408ed1c27fb54175b1fe2");
  const auto base = network("base-mainnet");
  ASSERT_TRUE(base.ok()) << base.status();
  EXPECT_EQ(base->l2_chain_id, 8453U);
  EXPECT_EQ(base->l1_chain_id, 1U);
  EXPECT_EQ(base->fork_at(~std::uint64_t{0}), Fork::jovian) << "Base takes no forks of the OP Stack any more";
  EXPECT_EQ(base->unknown_forks, (UnknownForks{{"base.azul", 1779991200},
                                               {"base.beryl", 1782410400},
                                               {"base.cobalt", 1790791200},
                                               {"base.denim", 1793901600}}));
  EXPECT_EQ(network("base-sepolia")->l2_chain_id, 84532U);
}

TEST(Forks, AreReadAlone) {
  const auto f =
      parse_forks(R"({"canyon_time":0,"jovian_time":20,"block_time":"odd","mesa_time":30,"base":{"azul":7}})");
  ASSERT_TRUE(f.ok()) << f.status();
  EXPECT_EQ(f->times[static_cast<std::size_t>(Fork::jovian)], 20U);
  EXPECT_FALSE(f->times[static_cast<std::size_t>(Fork::isthmus)]);
  EXPECT_EQ(f->unknown, (UnknownForks{{"mesa_time", 30}, {"base.azul", 7}}));
  EXPECT_FALSE(parse_forks("[]").ok());
  EXPECT_FALSE(parse_forks(R"({"canyon_time":-1})").ok());
  EXPECT_FALSE(parse_forks(R"({"jovian_time":20,"karst_time":10})").ok());
  json many;
  for (int i = 0; i < 33; ++i) many["fork" + std::to_string(i) + "_time"] = i;
  EXPECT_FALSE(parse_forks(many.dump()).ok()) << "as many as a node likes, but not more";
}

TEST(Forks, WhatTheOperatorSaysGoesFirst) {
  Config c = *network("op-mainnet");
  ForkTimes overrides{};
  overrides[static_cast<std::size_t>(Fork::karst)] = 1800000000;
  overrides[static_cast<std::size_t>(Fork::lagoon)] = 1800000000;
  ASSERT_EQ(override_forks(overrides, "--override.", c), absl::OkStatus());
  EXPECT_EQ(c.fork_at(1799999999), Fork::jovian);
  EXPECT_EQ(c.fork_at(1800000000), Fork::lagoon);
  // An impossible order is refused, and nothing changes.
  const Config before = c;
  ForkTimes late{};
  late[static_cast<std::size_t>(Fork::isthmus)] = 1900000000;
  const auto st = override_forks(late, "--override.", c);
  EXPECT_EQ(st.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(st.message(),
            "forks come in order: jovian at 1764691201 cannot come before isthmus at 1900000000 "
            "(--override.isthmus); override that one, too, or neither");
  EXPECT_EQ(c.fork_times, before.fork_times);
}

TEST(Forks, OneThatIsNotKnownIsToldWithItsDate) {
  EXPECT_EQ(describe_unknown(1795370838, 1795370837),
            "a fork that this version does not know comes at 2026-11-22 18:07:18 UTC: look for a newer one before");
  EXPECT_EQ(describe_unknown(1795370838, 1795370838),
            "a fork that this version does not know is active since 2026-11-22 18:07:18 UTC: what it changes is not "
            "checked; all goes on while hashes verify");
}

TEST(Network, KnownFigures) {
  auto c = network("op-mainnet");
  ASSERT_TRUE(c.ok()) << c.status();
  EXPECT_EQ(c->l2_chain_id, 10U);
  EXPECT_EQ(c->l2_genesis.number, 105235063U);
  EXPECT_EQ(c->fork_times[static_cast<std::size_t>(Fork::jovian)], 1764691201U);
  EXPECT_EQ(c->fork_times[static_cast<std::size_t>(Fork::karst)], 1783526401U);
  // The rollup.json of the same chain has the same contents.
  auto file = parse_config(towline::testing::read_vector("op-sepolia-rollup.json"));
  auto table = network("op-sepolia");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->l2_genesis, file->l2_genesis);
  EXPECT_EQ(table->l1_genesis, file->l1_genesis);
  EXPECT_EQ(table->l2_time, file->l2_time);
  EXPECT_EQ(table->block_time, file->block_time);
  for (auto f : {Fork::canyon, Fork::delta, Fork::ecotone, Fork::fjord, Fork::granite, Fork::holocene, Fork::isthmus}) {
    EXPECT_EQ(table->fork_times[static_cast<std::size_t>(f)], file->fork_times[static_cast<std::size_t>(f)]) << name(f);
  }
  const auto st = network("op-main").status();
  EXPECT_EQ(st.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(st.message().find("op-mainnet"), absl::string_view::npos);
}

TEST(VerifyBlock, FieldsOfTheForkAreRequiredAndOthersRefused) {
  auto block = towline::testing::sample_block(1, 3, 50);
  Config c = *network("op-mainnet");
  const auto status = [&](auto change) {
    eth::Header h = block.header;
    change(h);
    return verify_block(c, h, eth::hash_header(h), block.transactions);
  };
  const auto starts = [](const absl::Status& st, const char* field) {
    return st.code() == absl::StatusCode::kDataLoss && std::string{st.message()}.starts_with(field);
  };
  const auto time_of = [&](Fork f) { return *c.fork_times[static_cast<std::size_t>(f)]; };
  EXPECT_EQ(status([&](eth::Header& h) { h.timestamp = time_of(Fork::isthmus); }), absl::OkStatus());
  EXPECT_TRUE(starts(status([&](eth::Header& h) { h.timestamp = time_of(Fork::isthmus) - 1; }), "requestsHash"));
  const auto granite = [&](eth::Header& h) {
    h.timestamp = time_of(Fork::granite);
    h.requests_hash.reset();
    h.withdrawals_root = trie::kEmptyRoot;
  };
  EXPECT_EQ(status(granite), absl::OkStatus());
  EXPECT_TRUE(starts(status([&](eth::Header& h) {
                       granite(h);
                       h.timestamp = time_of(Fork::ecotone) - 1;
                     }),
                     "blobGasUsed"));
  EXPECT_TRUE(starts(status([&](eth::Header& h) {
                       granite(h);
                       h.timestamp = time_of(Fork::canyon) - 1;
                     }),
                     "withdrawalsRoot"));
  EXPECT_TRUE(starts(status([&](eth::Header& h) {
                       granite(h);
                       h.parent_beacon_block_root.reset();
                     }),
                     "parentBeaconBlockRoot"));
  EXPECT_TRUE(starts(status([&](eth::Header& h) {
                       h.timestamp = time_of(Fork::karst);
                       h.block_access_list_hash.emplace();
                       h.slot_number = 1;
                     }),
                     "blockAccessListHash"));
  const auto root = status([&](eth::Header& h) { h.transactions_root.bytes[0] ^= 1; });
  EXPECT_TRUE(starts(root, "transactionsRoot")) << root;
  EXPECT_TRUE(starts(verify_block(c, block.header, Hash32{}, block.transactions), "hash"));
}

}  // namespace
}  // namespace towline::rollup
