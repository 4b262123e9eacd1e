#include "services/remote-fetcher/core/fork_schedule.hpp"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "libs/eth/header.hpp"

namespace towline::fetcher {
namespace {

using rollup::Fork;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::uint64_t kNow = 1000;

/// Isthmus at 500 and nothing later, on a chain that starts at 100.
rollup::Config own() {
  rollup::Config c;
  c.l2_time = 100;
  for (std::size_t f = 0; f <= static_cast<std::size_t>(Fork::ecotone); ++f) c.fork_times[f] = 0;
  for (const Fork f : {Fork::fjord, Fork::granite, Fork::holocene}) c.fork_times[static_cast<std::size_t>(f)] = 200;
  c.fork_times[static_cast<std::size_t>(Fork::isthmus)] = 500;
  return c;
}

constexpr const char* kSame = R"("canyon_time":0,"delta_time":0,"ecotone_time":0,"fjord_time":200,"granite_time":200,)"
                              R"("holocene_time":200,"isthmus_time":500)";

class Schedule {
 public:
  explicit Schedule(rollup::Config c = own()) : schedule{std::move(c)} {}
  std::vector<ForkNews> rollup_config(const std::string& endpoint, const std::string& fields,
                                      std::uint64_t now = kNow) {
    return tell(&ForkSchedule::on_rollup_config, endpoint, absl::StrCat("{", fields, "}"), now);
  }
  std::vector<ForkNews> eth_config(const std::string& endpoint, const std::string& json, std::uint64_t now = kNow) {
    return tell(&ForkSchedule::on_eth_config, endpoint, json, now);
  }
  std::optional<std::uint64_t> time_of(Fork f) const {
    return schedule.config().fork_times[static_cast<std::size_t>(f)];
  }
  ForkSchedule schedule;
  absl::Status last;

 private:
  template <class F>
  std::vector<ForkNews> tell(F f, const std::string& endpoint, const std::string& json, std::uint64_t now) {
    simdjson::dom::parser parser;
    std::vector<ForkNews> news;
    last = (schedule.*f)(endpoint, parser.parse(json).value(), now, news);
    return news;
  }
};

TEST(ForkSchedule, ASourceThatSaysTheSameIsNoNews) {
  Schedule s;
  EXPECT_THAT(s.rollup_config("a", kSame), IsEmpty());
  // Times up to genesis are equivalent, and old forks may be omitted.
  EXPECT_THAT(s.rollup_config("b", R"("regolith_time":100,"ecotone_time":50,"fjord_time":200,"granite_time":200,)"
                                   R"("holocene_time":200,"isthmus_time":500,"block_time":2,"cel2_times":"odd")"),
              IsEmpty());
  EXPECT_THAT(s.rollup_config("c", R"("isthmus_time":500)"), IsEmpty());
  EXPECT_EQ(s.last, absl::OkStatus());
}

TEST(ForkSchedule, ADifferenceIsToldOnceAndAgainWhenItChanges) {
  Schedule s;
  const std::string late = R"("holocene_time":200,"isthmus_time":700)";
  const auto news = s.rollup_config("a", late);
  ASSERT_THAT(news, SizeIs(1));
  EXPECT_EQ(news[0].fork, "isthmus");
  EXPECT_EQ(news[0].here, "500");
  EXPECT_EQ(news[0].there, "700");
  EXPECT_THAT(s.rollup_config("a", late), IsEmpty()) << "once";
  EXPECT_THAT(s.rollup_config("b", late), SizeIs(1)) << "for each source";
  EXPECT_EQ(s.time_of(Fork::isthmus), 500U) << "what is known here counts, whatever most sources say";
  const auto never = s.rollup_config("a", R"("holocene_time":200)");
  ASSERT_THAT(never, SizeIs(1));
  EXPECT_EQ(never[0].there, "never");
  EXPECT_THAT(s.rollup_config("a", kSame), IsEmpty());
  EXPECT_THAT(s.rollup_config("a", late), SizeIs(1)) << "it came back";
}

TEST(ForkSchedule, OfAForkThatNobodyHereKnowsMostSourcesCount) {
  Schedule s;
  const std::string jovian = absl::StrCat(kSame, R"(,"jovian_time":600)");
  const auto news = s.rollup_config("a", jovian);
  ASSERT_THAT(news, SizeIs(1));
  EXPECT_THAT(news[0].what, HasSubstr("what most sources say counts"));
  EXPECT_EQ(news[0].fork, "jovian");
  EXPECT_EQ(news[0].here, "never");
  EXPECT_EQ(news[0].there, "600");
  EXPECT_EQ(s.time_of(Fork::jovian), 600U) << "the word of the only one";
  EXPECT_THAT(s.rollup_config("b", kSame), SizeIs(1)) << "one says never: no majority";
  EXPECT_EQ(s.time_of(Fork::jovian), std::nullopt);
  s.rollup_config("c", jovian);
  EXPECT_EQ(s.time_of(Fork::jovian), 600U) << "two of three";
  s.schedule.forget("c");
  EXPECT_EQ(s.time_of(Fork::jovian), std::nullopt);
  s.schedule.forget("b");
  EXPECT_EQ(s.time_of(Fork::jovian), 600U);
}

TEST(ForkSchedule, ATimeThatCannotBeIsNotLearnt) {
  rollup::Config c = own();
  c.fork_times[static_cast<std::size_t>(Fork::karst)] = 900;
  Schedule s{c};
  s.rollup_config("a", R"("isthmus_time":500,"jovian_time":950)");
  EXPECT_EQ(s.time_of(Fork::jovian), std::nullopt) << "Karst comes at 900 here";
  s.rollup_config("a", R"("isthmus_time":500,"jovian_time":850)");
  EXPECT_EQ(s.time_of(Fork::jovian), 850U);
}

TEST(ForkSchedule, AForkNameThatIsNotKnownIsToldWithItsDate) {
  Schedule s;
  const std::string mesa = absl::StrCat(kSame, R"(,"mesa_time":2000,"base":{"azul":900})");
  const auto news = s.rollup_config("a", mesa);
  ASSERT_THAT(news, SizeIs(2));
  EXPECT_EQ(news[0].fork, "mesa_time");
  EXPECT_THAT(news[0].what, HasSubstr("comes at 1970-01-01 00:33:20 UTC"));
  EXPECT_EQ(news[1].fork, "base.azul");
  EXPECT_THAT(news[1].what, HasSubstr("active since 1970-01-01 00:15:00 UTC"));
  EXPECT_THAT(s.rollup_config("a", mesa, 1999), IsEmpty());
  EXPECT_THAT(s.rollup_config("a", mesa, 2000), SizeIs(1)) << "now it is active";
  // Forks named by the rollup file or the table are reported at start already.
  rollup::Config c = own();
  c.unknown_forks = {{"mesa_time", 2000}, {"base.azul", 900}};
  Schedule known{c};
  EXPECT_THAT(known.rollup_config("a", mesa), IsEmpty());
}

TEST(ForkSchedule, WhatIsNoScheduleIsRefused) {
  Schedule s;
  for (const char* bad : {R"("jovian_time":"soon")", R"("jovian_time":-1)", R"("jovian_time":9,"karst_time":8)"}) {
    EXPECT_THAT(s.rollup_config("a", bad), IsEmpty()) << bad;
    EXPECT_EQ(s.last.code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  for (const char* bad : {"{}", "[]", "null", R"({"current":null})", R"({"current":{}})",
                          R"({"current":{"activationTime":"0x1"}})", R"({"current":{"activationTime":1},"next":7})"}) {
    EXPECT_THAT(s.eth_config("a", bad), IsEmpty()) << bad;
    EXPECT_EQ(s.last.code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_EQ(s.schedule.config().fork_times, own().fork_times);
}

std::string entry(std::uint64_t time, const char* contract) {
  return absl::StrCat(R"({"activationTime":)", time, R"(,"chainId":"0xa","forkId":"0x0","systemContracts":{)",
                      *contract ? absl::StrCat("\"", contract, R"(":"0x01")") : "", "}}");
}

std::string config(const std::string& current, const std::string& next = "null", const std::string& last = "null") {
  return absl::StrCat(R"({"current":)", current, R"(,"next":)", next, R"(,"last":)", last, "}");
}

constexpr const char *kPrague = "HISTORY_STORAGE_ADDRESS", *kCancun = "BEACON_ROOTS_ADDRESS";

TEST(ForkSchedule, EthConfigIsReadByWhatIsBesideItsTimes) {
  Schedule s;
  EXPECT_THAT(s.eth_config("a", config(entry(500, kPrague))), IsEmpty());
  EXPECT_THAT(s.eth_config("a", config(entry(0, kCancun), entry(500, kPrague), entry(500, kPrague))), IsEmpty());
  // Prague's rules, before they are active here.
  auto news = s.eth_config("a", config(entry(400, kPrague)));
  ASSERT_THAT(news, SizeIs(1));
  EXPECT_EQ(news[0].fork, "isthmus");
  EXPECT_EQ(news[0].here, "500");
  EXPECT_EQ(news[0].there, "400");
  // A later fork without a name here: reported once, though it is both next and last.
  news = s.eth_config("a", config(entry(500, kPrague), entry(3000, kPrague), entry(3000, kPrague)));
  ASSERT_THAT(news, SizeIs(1));
  EXPECT_EQ(news[0].fork, "eth_config");
  EXPECT_EQ(news[0].there, "3000");
  EXPECT_THAT(news[0].what, HasSubstr("comes at"));
}

TEST(ForkSchedule, EthConfigFillsWhatIsNotKnownHere) {
  rollup::Config c = own();
  c.fork_times[static_cast<std::size_t>(Fork::isthmus)].reset();
  Schedule s{c};
  s.eth_config("a", config(entry(0, kCancun), entry(1500, kPrague), entry(1500, kPrague)));
  EXPECT_EQ(s.time_of(Fork::isthmus), 1500U);
  // A source that says more replaces its word; one that says nothing about the fork has no vote.
  s.eth_config("b", config(entry(0, kCancun)));
  EXPECT_EQ(s.time_of(Fork::isthmus), 1500U);
  s.rollup_config("a", R"("holocene_time":200,"isthmus_time":1400)");
  EXPECT_EQ(s.time_of(Fork::isthmus), 1400U);
}

eth::Header header(std::uint64_t time) {
  eth::Header h;
  h.timestamp = time;
  h.withdrawals_root.emplace();
  h.blob_gas_used = h.excess_blob_gas = 0;
  h.parent_beacon_block_root.emplace();
  return h;
}

TEST(ForkSchedule, AHeaderThatDoesNotFitIsAWarningAndNoMore) {
  Schedule s;
  EXPECT_EQ(s.schedule.on_header(header(499)), std::nullopt);
  const auto news = s.schedule.on_header(header(500));
  ASSERT_TRUE(news);
  EXPECT_EQ(news->fork, "isthmus");
  EXPECT_THAT(news->what, HasSubstr("requestsHash: absent"));
  EXPECT_EQ(s.schedule.on_header(header(501)), std::nullopt) << "once";
  eth::Header other = header(502);
  other.requests_hash.emplace();
  other.blob_gas_used.reset();
  EXPECT_TRUE(s.schedule.on_header(other)) << "another field";
}

}  // namespace
}  // namespace towline::fetcher
