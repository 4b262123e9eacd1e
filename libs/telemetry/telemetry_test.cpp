#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <absl/strings/str_cat.h>
#include <absl/synchronization/notification.h>
#include <fcntl.h>
#include <httplib.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "libs/telemetry/log.hpp"
#include "libs/telemetry/metrics.hpp"
#include "libs/telemetry/status_server.hpp"
#include "tests/support/hang.hpp"

namespace towline {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string logged(log::Format format, log::Level level, const std::function<void()>& write) {
  log::init(level, format);
  ::testing::internal::CaptureStderr();
  write();
  return ::testing::internal::GetCapturedStderr();
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

/// A client that sends exactly the given bytes.
class RawClient {
 public:
  explicit RawClient(int port) : fd_{socket(AF_INET, SOCK_STREAM, 0)} {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(static_cast<std::uint16_t>(port));
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    const timeval hang{absl::ToInt64Seconds(testing::kHang), 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &hang, sizeof hang);
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &hang, sizeof hang);
  }
  RawClient(RawClient&& o) noexcept : fd_{std::exchange(o.fd_, -1)} {}
  ~RawClient() {
    if (fd_ >= 0) close(fd_);
  }
  /// The number of bytes that the server took.
  std::size_t send_all(std::string_view text) {
    std::size_t sent = 0;
    while (sent < text.size()) {
      const ssize_t n = send(fd_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) break;
      sent += static_cast<std::size_t>(n);
    }
    return sent;
  }
  /// Reads until the server closes. A server that keeps the connection open fails the test.
  std::string read_all() {
    std::string out;
    char buffer[4096];
    ssize_t n = 0;
    while ((n = recv(fd_, buffer, sizeof buffer, 0)) > 0) out.append(buffer, static_cast<std::size_t>(n));
    EXPECT_FALSE(n < 0 && errno == EAGAIN) << "the server neither answers nor closes";
    return out;
  }

 private:
  int fd_;
};

std::size_t resident_bytes() {
  std::ifstream in{"/proc/self/statm"};
  std::size_t total = 0, resident = 0;
  in >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

TEST(Metrics, DeclaredSeriesAreThereBeforeAnythingHappens) {
  Metrics m;
  m.declare("towline_test_total", "Help.", "reason", {"x", "y"});
  m.counter("towline_test_total", "Help.", {{"reason", "y"}}).inc();
  EXPECT_THAT(m.text(), HasSubstr("towline_test_total{reason=\"x\"} 0\n"));
  EXPECT_THAT(m.text(), HasSubstr("towline_test_total{reason=\"y\"} 1\n"));
  EXPECT_THAT(m.text(), HasSubstr("towline_log_lines_dropped_total "));
}

/// Standard error is a pipe that only the test reads.
class FullPipe : public ::testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    read_ = ends[0];
    fcntl(read_, F_SETFL, O_NONBLOCK);
    stderr_ = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    log::init(log::Level::info, log::Format::logfmt);
  }
  void TearDown() override {
    dup2(stderr_, STDERR_FILENO);
    close(stderr_);
    if (read_ >= 0) close(read_);
  }
  std::string read_now() const {
    std::string out;
    char buffer[65536];
    ssize_t n = 0;
    while ((n = read(read_, buffer, sizeof buffer)) > 0) out.append(buffer, static_cast<std::size_t>(n));
    return out;
  }
  int read_ = -1, stderr_ = -1;
};

TEST_F(FullPipe, StopsNobodyAndIsCountedAndToldOf) {
  const auto before = log::dropped();
  // Far more than a pipe holds; each call returns before the next one.
  for (int i = 0; i < 5000; ++i) log::info("a line", {log::kv("text", std::string(100, 'x'))});
  const auto lost = log::dropped() - before;
  EXPECT_GT(lost, 1000U);
  const std::string held = read_now();
  EXPECT_EQ(held.back(), '\n');
  EXPECT_EQ(static_cast<std::uint64_t>(std::count(held.begin(), held.end(), '\n')), 5000 - lost);
  log::info("again");
  const std::string said = read_now();
  EXPECT_THAT(said, HasSubstr(absl::StrCat("lines=", lost)));
  EXPECT_THAT(said, HasSubstr("msg=again"));
}

TEST_F(FullPipe, ALineThatWasCutEndsBeforeTheNextBegins) {
  log::info(std::string(1U << 20U, 'y'));
  EXPECT_EQ(read_now().back(), 'y');
  log::info("again");
  EXPECT_THAT(read_now(), ::testing::StartsWith("\n"));
}

TEST_F(FullPipe, NobodyAtTheOtherEndStopsNobody) {
  signal(SIGPIPE, SIG_IGN);
  close(std::exchange(read_, -1));
  const auto before = log::dropped();
  log::info("a line");
  EXPECT_EQ(log::dropped(), before + 1);
}

class StatusServerTest : public ::testing::Test {
 protected:
  void SetUp() override { start({}); }
  void start(StatusServer::Options options) {
    server_.reset();
    auto started = StatusServer::start(
        "127.0.0.1:0", metrics_,
        [this] {
          if (readiness_waits_for_) readiness_waits_for_->WaitForNotification();
          return ready_;
        },
        [this] { return hung_; }, options);
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
  }
  httplib::Result ask(const std::string& path) {
    httplib::Client client{"127.0.0.1", server_->port()};
    client.set_read_timeout(absl::ToChronoSeconds(testing::kHang));
    return client.Get(path);
  }
  std::string ask_raw(const std::string& request) {
    RawClient c{server_->port()};
    c.send_all(request);
    return c.read_all();
  }
  Metrics metrics_;
  Readiness ready_{false, "no_heads", "no source answers", {{"distance", "7"}}};
  std::string hung_;
  absl::Notification* readiness_waits_for_ = nullptr;
  std::unique_ptr<StatusServer> server_;
};

TEST_F(StatusServerTest, AnAddressThatIsTakenIsNamed) {
  const std::string address = "127.0.0.1:" + std::to_string(server_->port());
  const auto second = StatusServer::start(
      address, metrics_, [] { return Readiness{}; }, [] { return std::string{}; }, {});
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

TEST_F(StatusServerTest, AHungLoopIsSaidByLivez) {
  hung_ = "the loop http hangs";
  EXPECT_EQ(ask("/livez")->status, 503);
  EXPECT_THAT(ask("/livez")->body, HasSubstr("http"));
}

TEST_F(StatusServerTest, SlowClientsAndASlowReadinessKeepNobodyFromLivez) {
  // The time of a slow client does not end in this test: a server that waits for one hangs.
  absl::Notification let_go;
  readiness_waits_for_ = &let_go;
  start({64, std::chrono::hours{1}});
  std::vector<RawClient> slow;
  for (int i = 0; i < 40; ++i) {
    slow.emplace_back(server_->port());
    slow.back().send_all("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  for (int i = 0; i < 100; ++i) {
    slow.emplace_back(server_->port());
    slow.back().send_all("GET /livez HTTP/1.1\r\nX-Slow: ");
  }
  const auto r = ask("/livez");
  EXPECT_TRUE(r && r->status == 200);
  let_go.Notify();
  server_.reset();
}

TEST_F(StatusServerTest, ARequestHasItsTimeAndNoMore) {
  start({64, std::chrono::milliseconds{50}});
  RawClient slow{server_->port()};
  slow.send_all("GET /livez HTTP/1.1\r\nX-Slow: ");
  EXPECT_EQ(slow.read_all(), "");
  RawClient silent{server_->port()};
  EXPECT_EQ(silent.read_all(), "");
}

TEST_F(StatusServerTest, TheOldestConnectionMakesRoom) {
  start({2, std::chrono::hours{1}});
  RawClient first{server_->port()}, second{server_->port()}, third{server_->port()};
  EXPECT_EQ(first.read_all(), "");
  second.send_all("GET /livez HTTP/1.1\r\n\r\n");
  EXPECT_THAT(second.read_all(), HasSubstr("200 OK"));
}

TEST_F(StatusServerTest, TakesNoBodyAndHoldsNone) {
  RawClient c{server_->port()};
  c.send_all("GET /livez HTTP/1.1\r\nContent-Length: 104857600\r\n\r\n");
  const std::size_t before = resident_bytes();
  const std::string part(1U << 20U, 'x');
  for (int i = 0; i < 100 && c.send_all(part) == part.size(); ++i) {
  }
  EXPECT_LT(resident_bytes(), before + (8U << 20U));
  EXPECT_THAT(ask_raw("GET /livez HTTP/1.1\r\nContent-Length: 104857600\r\n\r\nxxx"), HasSubstr(" 413 "));
  EXPECT_THAT(ask_raw("GET /livez HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"), HasSubstr(" 413 "));
}

TEST_F(StatusServerTest, RefusesLongHeaders) {
  std::string lines;
  for (int i = 0; i < 65; ++i) absl::StrAppend(&lines, "A: b\r\n");
  EXPECT_THAT(ask_raw(absl::StrCat("GET /livez HTTP/1.1\r\n", lines, "\r\n")), HasSubstr(" 431 "));
  std::string many;
  for (int i = 0; i < 1000; ++i) absl::StrAppend(&many, "Header-", i, ": value\r\n");
  EXPECT_THAT(ask_raw(absl::StrCat("GET /livez HTTP/1.1\r\n", many, "\r\n")), HasSubstr(" 431 "));
  EXPECT_THAT(ask_raw(absl::StrCat("GET /livez HTTP/1.1\r\nA: ", std::string(1U << 20U, 'x'), "\r\n\r\n")),
              HasSubstr(" 431 "));
  EXPECT_THAT(ask_raw(absl::StrCat("GET /", std::string(9000, 'x'), " HTTP/1.1\r\n\r\n")), HasSubstr(" 431 "));
}

TEST_F(StatusServerTest, AnswersGetAndHeadOnly) {
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "XYZZY"})
    EXPECT_THAT(ask_raw(absl::StrCat(method, " /livez HTTP/1.1\r\n\r\n")), HasSubstr(" 405 ")) << method;
  const std::string head = ask_raw("HEAD /livez HTTP/1.1\r\n\r\n");
  EXPECT_THAT(head, HasSubstr("Content-Length: 3\r\n"));
  EXPECT_TRUE(head.ends_with("\r\n\r\n")) << head;
  EXPECT_THAT(ask_raw("no HTTP\r\n\r\n"), HasSubstr(" 400 "));
}

}  // namespace
}  // namespace towline
