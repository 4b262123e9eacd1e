#include "services/remote-fetcher/endpoints_file.hpp"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace towline::fetcher {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

absl::StatusOr<std::vector<EndpointConfig>> read(const std::string& text, bool open_to_others = false) {
  const std::string path = ::testing::TempDir() + "towline_endpoints_" + std::to_string(::getpid()) + ".toml";
  std::ofstream{path} << text;
  std::filesystem::permissions(path, std::filesystem::perms{open_to_others ? 0644U : 0600U});
  EndpointLimits defaults;
  defaults.max_in_flight = 3;
  return read_endpoints_file(path, defaults);
}

TEST(EndpointsFile, AllKeys) {
  const auto all = read(R"([[endpoint]]
url = "wss://user:pa55@[2001:db8::1]:8546/v3/key?apikey=x"
headers = ["Authorization: Bearer abc", "X-Key:\tdef"]
proxy = "http://u:p@proxy:3128"
max_in_flight = 5
max_rps = 2.5
max_batch = 1000
[[endpoint]]
url = "http://127.0.0.1:8545"
proxy = ""
)");
  ASSERT_TRUE(all.ok()) << all.status();
  ASSERT_EQ(all->size(), 2U);
  const EndpointConfig& e = all->front();
  EXPECT_EQ(e.url, "wss://user:pa55@[2001:db8::1]:8546/v3/key?apikey=x");
  EXPECT_THAT(e.headers, ::testing::ElementsAre("Authorization: Bearer abc", "X-Key:\tdef"));
  EXPECT_EQ(e.proxy, "http://u:p@proxy:3128");
  EXPECT_EQ(e.limits.max_in_flight, 5);
  EXPECT_EQ(e.limits.max_requests_per_s, 2.5);
  EXPECT_EQ(e.limits.max_batch, 1000U);
  EXPECT_EQ(all->back().limits.max_in_flight, 3);
  EXPECT_EQ(all->back().limits.max_batch, 0U);
  EXPECT_EQ(all->back().proxy, "");
}

TEST(EndpointsFile, GroupsAndVotes) {
  const auto all = read(
      "[[endpoint]]\nurl = \"https://a\"\ngroup = \"one\"\nvotes = [\"unsafe\", \"finalized\"]\n"
      "[[endpoint]]\nurl = \"https://b\"\n");
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->front().voter.group, "one");
  EXPECT_TRUE(all->front().voter.unsafe && !all->front().voter.safe && all->front().voter.finalized);
  EXPECT_EQ(all->back().voter.group, "");
  EXPECT_TRUE(all->back().voter.unsafe && all->back().voter.safe && all->back().voter.finalized);
  for (const char* bad : {"group = \"\"", "group = 1", "votes = \"safe\"", "votes = [\"latest\"]", "votes = [1]"})
    EXPECT_FALSE(read(absl::StrCat("[[endpoint]]\nurl = \"https://a\"\n", bad, "\n")).ok()) << bad;
}

TEST(EndpointsFile, WithoutProxyTheEnvironmentDecides) {
  const auto all = read("[[endpoint]]\nurl = \"https://host\"\n");
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->front().proxy, std::nullopt);
}

TEST(EndpointsFile, ErrorsNameThePlaceAndNoSecret) {
  const std::string url = "url = \"https://host/s3cr3t\"\n";
  const struct {
    std::string text;
    const char* said;
  } cases[] = {
      {"[[endpoint]]\nurl = \"ftp://user:s3cr3t@host\"\n", "endpoint 1: url: not an http://"},
      {"[[endpoint]]\nurl = \"http://s3cr3t@[fe80::1%25eth0]\"\n", "zone id"},
      {"[[endpoint]]\n" + url + "headers = [\"s3cr3t\"]\n", "headers must be strings of the form"},
      {"[[endpoint]]\n" + url + "headers = [\"X: s3cr3t\\r\\nHost: other\"]\n", "headers must be strings of the form"},
      {"[[endpoint]]\n" + url + "headers = [\"X Y: s3cr3t\"]\n", "headers must be strings of the form"},
      {"[[endpoint]]\n" + url + "ca_file = \"/nonexistent/ca.pem\"\n",
       "endpoint 1: ca_file: /nonexistent/ca.pem cannot be read"},
      {"[[endpoint]]\n" + url + "ca_file = \"/etc/passwd\"\n", "no certificate in PEM form"},
      {"[[endpoint]]\n" + url + "proxy = \"s3cr3t@proxy\"\n", "endpoint 1: proxy: "},
      {"[[endpoint]]\n" + url + "max_batch = 0\n", "out of range: max_batch"},
      {"[[endpoint]]\n" + url + "max_batch = 1001\n", "out of range: max_batch"},
      {"[[endpoint]]\n" + url + "[[endpoint]]\n" + url + "sekret = 1\n", "endpoint 2: unknown key"},
      {"[[endpoint]]\nurl = \"https://host/s3cr3t\n", "not TOML (line 2)"},
      {"", "no [[endpoint]] table"},
  };
  for (const auto& c : cases) {
    const auto all = read(c.text);
    ASSERT_FALSE(all.ok()) << c.text;
    EXPECT_THAT(std::string{all.status().message()}, HasSubstr(c.said)) << c.text;
    EXPECT_THAT(std::string{all.status().message()}, Not(HasSubstr("s3cr3t"))) << c.text;
  }
}

TEST(EndpointsFile, OneThatOthersMayReadIsReadWithAWarning) {
  for (const bool open : {false, true}) {
    ::testing::internal::CaptureStderr();
    EXPECT_TRUE(read("[[endpoint]]\nurl = \"https://host\"\n", open).ok());
    const std::string said = ::testing::internal::GetCapturedStderr();
    EXPECT_EQ(said.find("chmod") != std::string::npos, open) << said;
  }
}

}  // namespace
}  // namespace towline::fetcher
