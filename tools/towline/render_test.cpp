#include "tools/towline/render.hpp"
#include "tools/towline/recovery.hpp"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "libs/base/hex.hpp"
#include "libs/wire/convert.hpp"

namespace towline::cli {
namespace {

using ::testing::HasSubstr;

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
  EXPECT_FALSE(doc["tows"][0].contains("distance_blocks"));
  EXPECT_FALSE(doc["tows"][0].contains("local"));
}

TEST(Render, NothingIsSaidToBeZeroBlocksBehindWhileNothingIsKnown) {
  v1::SyncStatus s;
  auto& t = *s.add_tows();
  EXPECT_EQ(status_text(s).find("0 blocks"), std::string::npos);
  EXPECT_EQ(live_line(s).find("0 behind"), std::string::npos);
  EXPECT_EQ(live_lines(s)[2].text.find("0 behind"), std::string::npos);
  t.set_distance_blocks(0);
  EXPECT_NE(status_text(s).find("0 blocks"), std::string::npos);
  EXPECT_NE(live_line(s).find("0 behind"), std::string::npos);
  EXPECT_NE(live_lines(s)[2].text.find("0 behind"), std::string::npos);
}

TEST(Render, RecoverHasStepsWhereTheDocumentAsksForSome) {
  std::ifstream in{std::string{TOWLINE_SOURCE_DIR} + "/docs/errors.md"};
  std::size_t rows = 0;
  for (std::string line; std::getline(in, line) && line != "### Sources";) {
    if (!absl::StartsWith(line, "| `")) continue;
    const std::vector<std::string> cells = absl::StrSplit(line, " | ");
    ASSERT_EQ(cells.size(), 4U) << line;
    ++rows;
    // The last state of the row: it is the one that asks for an operator.
    v1::Tow t;
    for (const absl::string_view word : absl::StrSplit(cells[1], absl::ByAnyChar(" ,;"))) {
      v1::TowState state;
      if (v1::TowState_Parse(absl::StrCat("TOW_STATE_", word), &state)) t.set_state(state);
    }
    ASSERT_NE(t.state(), v1::TOW_STATE_UNSPECIFIED) << line;
    t.set_reason_code(cells[0].substr(3, cells[0].size() - 4));
    const absl::string_view what = absl::StripSuffix(cells[3], " |");
    if (what == "wait") {
      EXPECT_TRUE(recovery(t).empty()) << line;
    } else if (absl::StrContains(what, "operator") || absl::StartsWith(what, "`towline endpoints`") ||
               absl::StartsWith(what, "`towline decisions`")) {
      EXPECT_FALSE(recovery(t).empty()) << line;
    }
  }
  EXPECT_GT(rows, 40U);
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
  t.set_reason_code("engine_missing_state");
  EXPECT_NE(recover_text(s).find("Restart the EL"), std::string::npos);
  EXPECT_TRUE(needs_person(s));
  const auto doc = nlohmann::json::parse(recover_json(s));
  EXPECT_EQ(doc["tows"][0]["steps"].size(), 2U);
  EXPECT_EQ(doc["tows"][0]["needs_person"], true);
  t.set_state(v1::TOW_STATE_WAITING_FOR_SOURCE);
  t.set_reason_code("invalid_block");
  EXPECT_NE(recover_text(s).find("upgrade it (reth/v1.10.2)"), std::string::npos) << recover_text(s);
  EXPECT_TRUE(needs_person(s));
  t.set_state(v1::TOW_STATE_AT_TIP);
  t.set_reason_code("at_tip");
  EXPECT_FALSE(needs_person(s));
  EXPECT_NE(recover_text(s).find("Nothing needs an operator"), std::string::npos);
}

TEST(Render, RecoverNamesBothChainsAndWhoSaysWhat) {
  const auto block = [](std::uint64_t n, std::uint8_t branch) {
    Hash32 h;
    h.bytes[0] = static_cast<std::uint8_t>(n);
    h.bytes[31] = branch;
    return eth::BlockId{n, h};
  };
  const auto ref = [&](std::uint64_t n, std::uint8_t branch) { return eth::BlockRef{n, block(n, branch).hash, {}, 0}; };
  v1::SyncStatus s;
  auto& t = *s.add_tows();
  t.set_driver("driver");
  t.set_state(v1::TOW_STATE_DIVERGED);
  t.set_reason_code("diverged");
  t.mutable_local()->set_client_version("reth/v1.10.2");
  Finality f{Lowering{{block(0, 1), block(9, 2), {}, block(12, 2)}}, {}};
  f.said.set_groups(3);
  const auto says = [&](const char* name, const std::optional<eth::BlockId>& b, const char* silence) {
    auto& e = *f.said.add_endpoints();
    e.set_endpoint(name);
    e.set_group(absl::StrCat("group-", name));
    if (b) *e.add_blocks() = wire::to_proto(*b);
    e.set_silence(silence);
  };
  says("a", block(9, 1), "");
  says("b", block(9, 2), "");
  says("c", std::nullopt, "no answer in time");
  const auto text = [&] { return recover_text(s, {{"driver", f}}); };
  Finality alone = f;
  alone.lowering.on_answers({}, {});
  EXPECT_THAT(recover_text(s, {{"driver", alone}}), HasSubstr("no other block has a majority"));
  f.lowering.on_answers({ref(9, 1)}, {ref(9, 2)});
  while (f.lowering.result() == Lowering::Result::asking) {
    std::vector<eth::BlockRef> theirs, ours;
    for (const std::uint64_t n : f.lowering.numbers()) {
      theirs.push_back(ref(n, 1));
      ours.push_back(ref(n, n > 5 ? 2 : 1));
    }
    f.lowering.on_answers(theirs, ours);
  }
  const auto hex = [](const eth::BlockId& b) { return to_hex(b.hash.view()); };
  for (const std::string& part :
       {absl::StrCat("final here: 9 ", hex(block(9, 2))), absl::StrCat("of 3 trust group(s)"),
        absl::StrCat("a (group-a): ", hex(block(9, 1))), absl::StrCat("b (group-b): the same block"),
        absl::StrCat("c (group-c): silent: no answer in time"), absl::StrCat("most have 9 ", hex(block(9, 1))),
        absl::StrCat("up to 5 ", hex(block(5, 1))), absl::StrCat("--force"),
        absl::StrCat("op-reth stage unwind to-block 5")})
    EXPECT_THAT(text(), HasSubstr(part));
  f.lowered.emplace().set_outcome(v1::OUTCOME_NOT_APPLIED);
  EXPECT_THAT(text(), HasSubstr("op-reth stage unwind to-block 5"));
  t.mutable_local()->set_client_version("Geth/v1.101702.3");
  EXPECT_THAT(text(), HasSubstr("debug_setHead(\"0x5\")"));
  const auto doc = nlohmann::json::parse(recover_json(s, {{"driver", f}}))["tows"][0]["finality"];
  EXPECT_EQ(doc["result"], "lower");
  EXPECT_EQ(doc["to"]["number"], 5);
  EXPECT_EQ(doc["says"][2]["block"], nullptr);
  EXPECT_EQ(doc["outcome"], "OUTCOME_NOT_APPLIED");
}

TEST(Render, StatusSaysWhoServedWhat) {
  v1::SyncStatus s;
  auto& local = *s.add_tows()->mutable_local();
  const auto add = [&](const char* address, std::uint64_t blocks, bool listed, const char* rests) {
    auto& r = *local.add_replicas();
    r.set_address(address);
    r.set_blocks(blocks);
    r.set_listed(listed);
    r.set_rests(rests);
  };
  EXPECT_EQ(status_text(s).find("served by"), std::string::npos);
  add("10.0.0.1:7410", 3000, true, "");
  add("10.0.0.2:7410", 1000, true, "it is silent");
  add("10.0.0.3:7410", 0, false, "");
  EXPECT_THAT(status_text(s), HasSubstr("served by  10.0.0.1:7410  3,000 blocks (75 %)\n"
                                        "           10.0.0.2:7410  1,000 blocks (25 %), rests: it is silent\n"
                                        "           10.0.0.3:7410  0 blocks (0 %), gone\n"));
}

TEST(Render, LiveLinesFitATerminal) {
  v1::SyncStatus s;
  auto& t = *s.add_tows();
  t.set_state(v1::TOW_STATE_IMPORTING);
  t.set_reason("importing");
  t.set_distance_blocks(142'345'678);
  t.set_eta_s(1'234'567);
  auto& l = *t.mutable_local()->mutable_labels();
  for (auto* label : {l.mutable_unsafe(), l.mutable_safe(), l.mutable_finalized()}) label->set_number(142'345'678);
  auto& p = *t.mutable_local()->mutable_import();
  p.set_blocks(142'345'678);
  p.set_blocks_per_s(12'345);
  p.set_mgas_per_s(1234.5);
  const auto lines = live_lines(s);
  ASSERT_EQ(lines.size(), 3U);
  for (const auto& line : lines) EXPECT_LE(line.text.size(), 80U) << line.text;
  EXPECT_NE(lines[0].text.find("[############............]  50.0 %"), std::string::npos) << lines[0].text;
  EXPECT_NE(lines[2].text.find("ETA 342h56m"), std::string::npos) << lines[2].text;
  EXPECT_EQ(lines[0].colour, LiveArea::Colour::none);
  t.set_state(v1::TOW_STATE_NEEDS_OPERATOR);
  EXPECT_EQ(live_lines(s)[0].colour, LiveArea::Colour::bad);
}

TEST(Render, LiveLineSaysWhyWhenNotAtTheTip) {
  v1::SyncStatus s;
  auto& t = *s.add_tows();
  t.set_state(v1::TOW_STATE_WAITING_FOR_SOURCE);
  t.set_reason("no endpoint answers");
  EXPECT_NE(live_line(s).find("no endpoint answers"), std::string::npos);
  t.set_state(v1::TOW_STATE_AT_TIP);
  EXPECT_EQ(live_line(s).find("no endpoint answers"), std::string::npos);
}

TEST(Render, DecisionsFoldRepeats) {
  v1::ListDecisionsResponse r;
  auto& d = *r.add_decisions();
  d.set_action("hold_safe");
  d.set_reason("remote safe is below ours");
  d.set_repeated(2);
  EXPECT_NE(decisions_text(r).find("hold_safe        remote safe is below ours  (3 times)"), std::string::npos)
      << decisions_text(r);
}

}  // namespace
}  // namespace towline::cli
