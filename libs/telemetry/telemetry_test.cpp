#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <httplib.h>
#include <nlohmann/json.hpp>

#include "libs/telemetry/log.hpp"
#include "libs/telemetry/metrics.hpp"
#include "libs/telemetry/status_server.hpp"

namespace towline {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string logged(log::Format format, log::Level level, const std::function<void()>& write) {
  log::init(level, format);
  testing::internal::CaptureStderr();
  write();
  return testing::internal::GetCapturedStderr();
}

TEST(Log, OneRecordIsOneLineWhateverIsInIt) {
  const auto nasty = [] {
    log::info("a\nb", {log::kv("key", "x\ny \"quoted\" \x01"), log::kv("n", 7), log::kv("ok", true)});
  };
  for (const auto format : {log::Format::text, log::Format::logfmt, log::Format::json}) {
    const std::string line = logged(format, log::Level::info, nasty);
    EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << line;
    EXPECT_EQ(line.back(), '\n');
  }
  const auto record = nlohmann::json::parse(logged(log::Format::json, log::Level::info, nasty));
  EXPECT_EQ(record["msg"], "a\nb");
  EXPECT_EQ(record["key"], "x\ny \"quoted\" \x01");
  EXPECT_EQ(record["n"], 7);
  EXPECT_EQ(record["ok"], true);
}

TEST(Log, BytesThatAreNoTextDoNotBreakTheJson) {
  const std::string line =
      logged(log::Format::json, log::Level::info, [] { log::info("x", {log::kv("raw", std::string{"\xff\xfe"})}); });
  EXPECT_TRUE(nlohmann::json::accept(line)) << line;
}

TEST(Log, TheLevelHolds) {
  const std::string said = logged(log::Format::text, log::Level::warn, [] {
    log::info("quiet");
    log::warn("loud");
  });
  EXPECT_THAT(said, HasSubstr("loud"));
  EXPECT_THAT(said, Not(HasSubstr("quiet")));
}

TEST(Metrics, TheSameNameAndLabelsAreOneSeries) {
  Metrics m;
  m.counter("towline_test_total", "Help.", {{"a", "x"}}).inc();
  m.counter("towline_test_total", "Help.", {{"a", "x"}}).inc(2);
  m.counter("towline_test_total", "Help.", {{"a", "y"}}).inc();
  EXPECT_THAT(m.text(), HasSubstr("towline_test_total{a=\"x\"} 3\n"));
  EXPECT_THAT(m.text(), HasSubstr("towline_test_total{a=\"y\"} 1\n"));
  EXPECT_THAT(m.text(), HasSubstr("# TYPE process_resident_memory_bytes gauge\n"));
}

class StatusServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = StatusServer::start("127.0.0.1:0", metrics_, [this] { return ready_; });
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
  }
  httplib::Result ask(const std::string& path) { return httplib::Client{"127.0.0.1", server_->port()}.Get(path); }
  Metrics metrics_;
  Readiness ready_{false, "no_heads", "no source answers", {{"distance", "7"}}};
  std::unique_ptr<StatusServer> server_;
};

TEST_F(StatusServerTest, AnAddressThatIsTakenIsNamed) {
  const std::string address = "127.0.0.1:" + std::to_string(server_->port());
  const auto second = StatusServer::start(address, metrics_, [] { return Readiness{}; });
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string{second.status().message()}, HasSubstr(address));
}

TEST_F(StatusServerTest, NotReadySaysWhy) {
  const auto r = ask("/readyz");
  ASSERT_TRUE(r);
  EXPECT_EQ(r->status, 503);
  const auto said = nlohmann::json::parse(r->body);
  EXPECT_EQ(said["code"], "no_heads");
  EXPECT_EQ(said["reason"], "no source answers");
}

TEST_F(StatusServerTest, ReadyIs200) {
  ready_ = {true, "ready", "", {}};
  EXPECT_EQ(ask("/readyz")->status, 200);
}

TEST_F(StatusServerTest, LivesAndCounts) {
  metrics_.counter("towline_test_total", "Help.").inc();
  EXPECT_EQ(ask("/livez")->status, 200);
  EXPECT_THAT(ask("/metrics")->body, HasSubstr("towline_test_total 1\n"));
  EXPECT_EQ(ask("/elsewhere")->status, 404);
}

}  // namespace
}  // namespace towline
