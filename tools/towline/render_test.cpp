#include "tools/towline/render.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace towline::cli {
namespace {

TEST(Render, Numbers) {
  EXPECT_EQ(thousands(0), "0");
  EXPECT_EQ(thousands(999), "999");
  EXPECT_EQ(thousands(1234567), "1,234,567");
  EXPECT_EQ(duration(12.4), "12s");
  EXPECT_EQ(duration(250), "4m10s");
  EXPECT_EQ(duration(7380), "2h03m");
  EXPECT_EQ(progress_bar(0.5, 10), "[#####.....]");
  EXPECT_EQ(progress_bar(7, 4), "[####]");
}

TEST(Render, JsonUsesProtoNamesAndHex) {
  v1::SyncStatus s;
  auto& t = *s.add_tows();
  t.set_state(v1::TOW_STATE_AT_TIP);
  t.mutable_target()->set_number(7);
  t.mutable_target()->set_hash(std::string(32, '\x11'));
  const auto doc = nlohmann::json::parse(to_json(s));
  EXPECT_EQ(doc["tows"][0]["state"], "TOW_STATE_AT_TIP");
  EXPECT_EQ(doc["tows"][0]["target"]["number"], 7);
  EXPECT_EQ(doc["tows"][0]["target"]["hash"], "0x" + std::string(64, '1'));
  EXPECT_EQ(doc["tows"][0]["distance_blocks"], 0);
  EXPECT_FALSE(doc["tows"][0].contains("local"));
}

TEST(Render, RecoverNamesTheStepsForTheClient) {
  v1::SyncStatus s;
  auto& t = *s.add_tows();
  t.set_state(v1::TOW_STATE_NEEDS_OPERATOR);
  t.set_reason_code("branch_too_deep");
  t.mutable_local()->set_client_version("Geth/v1.101702.3");
  EXPECT_NE(recover_text(s).find("debug_setHead"), std::string::npos);
  t.mutable_local()->set_client_version("reth/v1.10.2");
  EXPECT_NE(recover_text(s).find("stage unwind"), std::string::npos);
}

TEST(Render, LiveLineFitsATerminal) {
  v1::SyncStatus s;
  auto& t = *s.add_tows();
  t.set_state(v1::TOW_STATE_IMPORTING);
  t.set_distance_blocks(1500);
  t.set_eta_s(12);
  auto& p = *t.mutable_local()->mutable_import();
  p.set_blocks(500);
  p.set_blocks_per_s(125);
  const std::string line = live_line(s);
  EXPECT_NE(line.find("[####............]"), std::string::npos) << line;
  EXPECT_NE(line.find("1,500 behind"), std::string::npos) << line;
}

}  // namespace
}  // namespace towline::cli
