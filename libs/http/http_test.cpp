#include "libs/http/client.hpp"

#include <gtest/gtest.h>
#include <httplib.h>
#include <zlib.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "libs/http/encoding.hpp"
#include "libs/http/test_servers.hpp"

namespace towline::http {
namespace {

/// A server whose answers each test chooses; hanging handlers are released at the end.
class HttpTest : public ::testing::Test {
 protected:
  HttpTest() {
    server_.set_keep_alive_timeout(1);
    server_.Post("/echo", [](const httplib::Request& req, httplib::Response& res) {
      res.set_content(req.body, "application/json");
    });
    server_.Post("/429", [](const httplib::Request&, httplib::Response& res) {
      res.status = 429;
      res.set_header("Date", "Sun, 06 Nov 1994 08:49:37 GMT");
      res.set_header("Retry-After", "7");
    });
    server_.Post("/large", [](const httplib::Request&, httplib::Response& res) {
      res.set_content(std::string(1U << 20U, 'x'), "text/plain");
    });
    server_.Post("/hang", [this](const httplib::Request&, httplib::Response&) {
      std::unique_lock lock{mutex_};
      ++hung_;
      changed_.notify_all();
      changed_.wait(lock, [this] { return let_go_; });
    });
    server_.Post("/drip", [this](const httplib::Request&, httplib::Response& res) {
      res.set_chunked_content_provider("text/plain", [this](std::size_t, httplib::DataSink& sink) {
        std::unique_lock lock{mutex_};
        if (changed_.wait_for(lock, std::chrono::milliseconds{20}, [this] { return let_go_; })) return false;
        return sink.write("x", 1);
      });
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread{[this] { server_.listen_after_bind(); }};
    while (!server_.is_running()) std::this_thread::yield();  // a stop() before would be lost
  }
  ~HttpTest() override {
    {
      const std::lock_guard lock{mutex_};
      let_go_ = true;
    }
    changed_.notify_all();
    server_.stop();
    thread_.join();
  }

  Request to(const std::string& path, std::string body = "{}") const {
    Request r;
    r.url = "http://127.0.0.1:" + std::to_string(port_) + path;
    r.body = std::move(body);
    return r;
  }
  void wait_hung(int n) {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return hung_ >= n; });
  }

  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int hung_ = 0;
  bool let_go_ = false;
};

TEST_F(HttpTest, SendsTheBodyAndReadsTheAnswer) {
  Client c;
  const Response r = c.post_and_wait(to("/echo", R"({"a":1})"));
  ASSERT_TRUE(r.transport.ok()) << r.transport;
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.body, R"({"a":1})");
}

TEST_F(HttpTest, AnErrorStatusIsAnAnswerAndRetryAfterIsRead) {
  Client c;
  const Response r = c.post_and_wait(to("/429"));
  ASSERT_TRUE(r.transport.ok()) << r.transport;
  EXPECT_EQ(r.status, 429);
  EXPECT_EQ(r.retry_after, absl::Seconds(7));
  ASSERT_TRUE(r.date);
  EXPECT_EQ(*r.date, absl::FromUnixSeconds(784'111'777));
  EXPECT_LT(absl::AbsDuration(r.date_read - absl::Now()), absl::Minutes(1));
}

TEST_F(HttpTest, AnAnswerThatIsTooLargeIsCut) {
  Client c;
  Request r = to("/large");
  r.max_response_bytes = 1000;
  const Response answer = c.post_and_wait(r);
  EXPECT_TRUE(absl::IsResourceExhausted(answer.transport)) << answer.transport;
  EXPECT_LE(answer.body.size(), 1000U);
}

TEST_F(HttpTest, ASlowDripEndsAtTheTimeout) {
  Client c;
  Request r = to("/drip");
  r.timeout = absl::Milliseconds(200);
  EXPECT_TRUE(absl::IsDeadlineExceeded(c.post_and_wait(r).transport));
}

TEST_F(HttpTest, NothingListensThere) {
  Client c;
  Request r = to("/echo");
  r.url = "http://user:pa55word@127.0.0.1:1/key-in-path?key=1";
  const Response answer = c.post_and_wait(r);
  EXPECT_TRUE(absl::IsUnavailable(answer.transport)) << answer.transport;
  for (const char* secret : {"pa55word", "key-in-path", "key=1"})
    EXPECT_EQ(answer.transport.message().find(secret), absl::string_view::npos) << secret;
}

TEST_F(HttpTest, ACancelledRequestEndsOnceAndAtOnce) {
  Client c;
  std::atomic<int> ended = 0;
  std::mutex mutex;
  std::condition_variable done;
  absl::Status how;
  const auto id = c.post(to("/hang"), [&](Response r) {
    const std::lock_guard lock{mutex};
    how = r.transport;
    ++ended;
    done.notify_all();
  });
  wait_hung(1);
  c.cancel(id);
  std::unique_lock lock{mutex};
  done.wait(lock, [&] { return ended > 0; });
  EXPECT_TRUE(absl::IsCancelled(how)) << how;
  lock.unlock();
  c.cancel(id);
  EXPECT_TRUE(c.post_and_wait(to("/echo")).transport.ok());
  EXPECT_EQ(ended, 1);
}

TEST_F(HttpTest, CancelAllEndsWhatRunsAndWhatComes) {
  std::atomic<int> cancelled = 0;
  {
    Client c;
    for (int i = 0; i < 3; ++i) {
      c.post(to("/hang"), [&](const Response& r) { cancelled += absl::IsCancelled(r.transport) ? 1 : 0; });
    }
    wait_hung(3);
    c.cancel_all();
    EXPECT_TRUE(absl::IsCancelled(c.post_and_wait(to("/echo")).transport));
  }
  EXPECT_EQ(cancelled, 3);
}

TEST_F(HttpTest, TheDestructorRunsEveryCallback) {
  std::atomic<int> ended = 0;
  {
    Client c;
    for (int i = 0; i < 3; ++i) c.post(to("/hang"), [&](const Response&) { ++ended; });
    wait_hung(3);
  }
  EXPECT_EQ(ended, 3);
}

TEST_F(HttpTest, ManyAreAllAnsweredEachWithItsOwn) {
  Client c;
  std::mutex mutex;
  std::condition_variable done;
  int answered = 0;
  constexpr int kRequests = 400;
  constexpr int kAtOnce = 4;  // the server's queue of connections that wait is short
  std::function<void(int)> post = [&](int i) {
    c.post(to("/echo", std::to_string(i)), [&, i](const Response& r) {
      EXPECT_EQ(decoded(r, 100).body, std::to_string(i)) << r.transport;
      if (i + kAtOnce < kRequests) post(i + kAtOnce);
      const std::lock_guard lock{mutex};
      ++answered;
      done.notify_all();
    });
  };
  for (int i = 0; i < kAtOnce; ++i) post(i);
  std::unique_lock lock{mutex};
  done.wait(lock, [&] { return answered == kRequests; });
  EXPECT_EQ(answered, kRequests);
}

/// Sends the same bytes on every connection, then `more` as often as the other side takes it.
test::Acceptor raw_server(std::string answer, std::string more = {}) {
  return test::Acceptor{"127.0.0.1", [answer = std::move(answer), more = std::move(more)](test::tcp::socket s) {
                          boost::system::error_code ec;
                          std::string question;
                          while (!ec && question.find("\r\n\r\n{}") == std::string::npos) {
                            char some[1024];
                            const std::size_t n = s.read_some(test::asio::buffer(some), ec);
                            question.append(some, n);
                          }
                          test::asio::write(s, test::asio::buffer(answer), ec);
                          while (!ec && !more.empty()) test::asio::write(s, test::asio::buffer(more), ec);
                        }};
}

Request to_raw(const test::Acceptor& server) {
  Request r;
  r.url = "http://127.0.0.1:" + std::to_string(server.port);
  r.body = "{}";
  return r;
}

/// `header`: lines that end with CRLF.
std::string http_answer(const std::string& header, const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + header + "\r\n" + body;
}

std::string deflated(const std::string& plain, int window_bits, int flush) {
  z_stream z{};
  deflateInit2(&z, 9, Z_DEFLATED, window_bits, 9, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&z, plain.size()) + 64, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  z.avail_in = static_cast<uInt>(plain.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, flush);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

std::string gzip(const std::string& plain) { return deflated(plain, 16 + MAX_WBITS, Z_FINISH); }

/// 30 kB that hold some 10^13 bytes of empty blocks in four layers of gzip: unpacking takes hours and yields nothing.
std::string four_layers() {
  const std::string header{"\x1f\x8b\x08\0\0\0\0\0\0\x03", 10};
  std::string first = header;
  std::string again{"\0\0\0\xff\xff", 5};
  for (int layer = 1; layer < 4; ++layer) {
    std::string many;
    while (many.size() < 1U << 20U) many += again;
    first = header + deflated(first, -MAX_WBITS, Z_FULL_FLUSH);
    again = deflated(many, -MAX_WBITS, Z_FULL_FLUSH);
  }
  while (first.size() < 30'000) first += again;
  return first;
}

TEST_F(HttpTest, OneLayerOfGzipIsAskedForAndUnpacked) {
  const std::string text = "[" + std::string(100'000, '7') + "]";
  std::string asked;
  server_.Post("/gzip", [&](const httplib::Request& req, httplib::Response& res) {
    asked = req.get_header_value("Accept-Encoding");
    res.set_header("Content-Encoding", "gzip");
    res.set_content(gzip(text), "application/octet-stream");
  });
  Client c;
  Request r = to("/gzip");
  r.max_response_bytes = text.size();
  const Response answer = c.post_and_wait(r);
  ASSERT_TRUE(answer.transport.ok()) << answer.transport;
  EXPECT_EQ(asked, "gzip");
  EXPECT_EQ(answer.body, text);
  r.max_response_bytes = text.size() - 1;
  EXPECT_EQ(c.post_and_wait(r).failure, Failure::too_large);
  r.gzip = false;
  c.post_and_wait(r);
  EXPECT_EQ(asked, "");
}

TEST_F(HttpTest, LayersThatUnpackForHoursCostTheirRequestAlone) {
  const std::string body = four_layers();
  ASSERT_LT(body.size(), 40'000U);
  Client c;
  for (const std::string header :
       {"Content-Encoding: gzip, gzip, gzip, gzip\r\n",
        "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\nContent-Encoding: gzip\r\nContent-Encoding: gzip\r\n"}) {
    const auto server = raw_server(http_answer(header, body));
    EXPECT_EQ(c.post_and_wait(to_raw(server)).failure, Failure::encoding) << header;
    EXPECT_EQ(c.post_and_wait(to("/echo")).body, "{}");
  }
  char size[16];
  std::snprintf(size, sizeof size, "%zx", body.size());
  const auto server = raw_server("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, gzip, gzip, gzip, chunked\r\n\r\n" +
                                 std::string{size} + "\r\n" + body + "\r\n0\r\n\r\n");
  EXPECT_EQ(c.post_and_wait(to_raw(server)).failure, Failure::encoding);
  EXPECT_EQ(c.post_and_wait(to("/echo")).body, "{}");
}

TEST_F(HttpTest, OtherEncodingsAreRefused) {
  Client c;
  for (const char* name : {"br", "zstd", "deflate", "gzip, identity", "x"}) {
    const auto server = raw_server(http_answer("Content-Encoding: " + std::string{name} + "\r\n", "{}"));
    EXPECT_EQ(c.post_and_wait(to_raw(server)).failure, Failure::encoding) << name;
  }
  const auto plain = raw_server(http_answer("Content-Encoding: identity\r\n", "{}"));
  EXPECT_EQ(c.post_and_wait(to_raw(plain)).body, "{}");
  for (const std::string& broken : {gzip("{}").substr(0, 15), gzip("{}") + "x", std::string{"{}"}, std::string{}}) {
    const auto server = raw_server(http_answer("Content-Encoding: gzip\r\n", broken));
    EXPECT_EQ(c.post_and_wait(to_raw(server)).failure, Failure::encoding);
  }
}

TEST_F(HttpTest, ARefusalIsToldByItsStatusWhateverItsBodyIs) {
  server_.Post("/page", [](const httplib::Request&, httplib::Response& res) {
    res.status = 403;
    res.set_content(std::string(1U << 20U, 'x'), "text/plain");
  });
  server_.Post("/packed", [](const httplib::Request&, httplib::Response& res) {
    res.status = 403;
    res.set_header("Content-Encoding", "br");
    res.set_content("x", "application/octet-stream");
  });
  Client c;
  for (const char* path : {"/page", "/packed"}) {
    Request r = to(path);
    r.max_response_bytes = 1000;
    const Response answer = c.post_and_wait(r);
    EXPECT_TRUE(answer.transport.ok()) << answer.transport;
    EXPECT_EQ(answer.status, 403);
    EXPECT_LE(answer.body.size(), 1000U);
  }
}

TEST_F(HttpTest, AHeaderWithoutEndIsCut) {
  const auto server = raw_server("HTTP/1.1 200 OK\r\n", "X-More: and more\r\n");
  Client c;
  EXPECT_EQ(c.post_and_wait(to_raw(server)).failure, Failure::too_large);
  EXPECT_EQ(c.post_and_wait(to("/echo")).body, "{}");
}

TEST(RetryAfter, SecondsADateOrNothing) {
  const absl::Time now = absl::FromUnixSeconds(784111777);  // Sun, 06 Nov 1994 08:49:37 GMT
  EXPECT_EQ(parse_retry_after("12", now), absl::Seconds(12));
  EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:50:07 GMT", now), absl::Seconds(30));
  EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now), absl::ZeroDuration());
  EXPECT_EQ(parse_retry_after("86400", now), absl::Minutes(5));
  EXPECT_EQ(parse_retry_after("soon", now), std::nullopt);
  EXPECT_EQ(parse_retry_after("", now), std::nullopt);
}

}  // namespace
}  // namespace towline::http
