// WebSocket, TLS and proxies, against correct servers and faulty ones.
#include "libs/http/websocket.hpp"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <sstream>

#include "libs/http/client.hpp"
#include "libs/http/test_servers.hpp"

namespace towline::http {
namespace {

using test::Peer;
using test::Pki;
using test::ProxyServer;
using test::UpgradeRequest;
using test::UpgradeResponse;
using test::WsServer;

void echo(Peer& peer, int) {
  while (true) peer.write(peer.read());
}
void never_answer(Peer& peer, int) { peer.wait_for_the_end(); }

Request to(const std::string& url, std::string body = "{}") {
  Request r;
  r.url = url;
  r.body = std::move(body);
  r.timeout = absl::Seconds(60);  // for tests that are not about time-outs
  return r;
}

/// Calls that come from another thread, to be waited for one by one.
template <typename T>
class Inbox {
 public:
  void put(T t) {
    const std::lock_guard lock{mutex_};
    items_.push_back(std::move(t));
    changed_.notify_all();
  }
  T take() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return !items_.empty(); });
    T t = std::move(items_.front());
    items_.pop_front();
    return t;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> items_;
};

TEST(WebSocket, SendsTheBodyAndReadsTheAnswerWithTheKeysInTheUpgrade) {
  WsServer server{echo};
  Client c;
  Request r = to(absl::StrCat("ws://us%40er:pa55@127.0.0.1:", server.port(), "/v3/key-in-path?apikey=key-in-query"),
                 R"({"id":1,"result":"0x1"})");
  r.headers = {"X-Key: key-in-header", "Authorization-Extra:  spaced "};
  const Response a = c.post_and_wait(r);
  ASSERT_TRUE(a.transport.ok()) << a.transport;
  EXPECT_EQ(a.status, 200);
  EXPECT_EQ(a.failure, Failure::none);
  EXPECT_EQ(a.body, r.body);
  const auto upgrade = server.upgrades().at(0);
  EXPECT_EQ(upgrade.target(), "/v3/key-in-path?apikey=key-in-query");
  EXPECT_EQ(upgrade["Authorization"], "Basic dXNAZXI6cGE1NQ==");  // us@er:pa55
  EXPECT_EQ(upgrade["X-Key"], "key-in-header");
  EXPECT_EQ(upgrade["Authorization-Extra"], "spaced");
  EXPECT_EQ(upgrade["Host"], absl::StrCat("127.0.0.1:", server.port()));
  EXPECT_EQ(upgrade["Sec-WebSocket-Extensions"], "");  // no compression
  // The connection is kept.
  EXPECT_TRUE(c.post_and_wait(r).transport.ok());
  EXPECT_EQ(server.connections(), 1);
}

TEST(WebSocket, ManyShareAFewConnectionsAndEachGetsItsOwnAnswer) {
  WsServer server{echo};
  constexpr int kRequests = 200;
  Inbox<std::pair<int, Response>> answers;
  Client c;
  for (int i = 0; i < kRequests; ++i) {
    c.post(to(server.url(), std::to_string(i)), [&, i](Response r) { answers.put({i, std::move(r)}); });
  }
  for (int n = 0; n < kRequests; ++n) {
    const auto [i, r] = answers.take();
    EXPECT_EQ(r.body, std::to_string(i)) << r.transport;
  }
  EXPECT_LE(server.connections(), static_cast<int>(WebSockets::kMaxConnections));
}

TEST(WebSocket, OnlySoManyWait) {
  WsServer server{never_answer};
  constexpr int kTooMany = 5;
  std::atomic<int> refused = 0;
  std::atomic<int> cancelled = 0;
  Inbox<int> ended;
  constexpr int kAll = static_cast<int>(WebSockets::kMaxWaiting + WebSockets::kMaxConnections) + kTooMany;
  {
    Client c;
    for (int i = 0; i < kAll; ++i) {
      c.post(to(server.url()), [&](const Response& r) {
        if (r.failure == Failure::other) ++refused;
        if (r.failure == Failure::cancelled) ++cancelled;
        ended.put(0);
      });
    }
    for (int i = 0; i < kTooMany; ++i) ended.take();
  }
  // Requests that got a connection in time made room for as many others.
  EXPECT_GE(refused, kTooMany);
  EXPECT_EQ(refused + cancelled, kAll);
}

TEST(WebSocket, AnAnswerAfterTheTimeoutIsNotTheNextOnes) {
  std::promise<void> timed_out;
  auto waiting = timed_out.get_future().share();
  WsServer server{[&](Peer& peer, int connection) {
    const std::string question = peer.read();
    if (connection == 0) waiting.wait();
    peer.write("answer to " + question);
    peer.wait_for_the_end();
  }};
  Client c;
  Request late = to(server.url(), "1");
  late.timeout = absl::Milliseconds(300);
  const Response r = c.post_and_wait(late);
  EXPECT_EQ(r.failure, Failure::timeout);
  EXPECT_TRUE(absl::IsDeadlineExceeded(r.transport)) << r.transport;
  timed_out.set_value();
  EXPECT_EQ(c.post_and_wait(to(server.url(), "2")).body, "answer to 2");
}

TEST(WebSocket, ACancelledRequestEndsOnceAndItsConnectionToo) {
  std::promise<void> asked, hung_up;
  WsServer server{[&](Peer& peer, int connection) {
    peer.write("answer to " + peer.read());
    peer.read();
    if (connection == 0) asked.set_value();
    try {
      peer.wait_for_the_end();
    } catch (const std::exception&) {
      if (connection == 0) hung_up.set_value();
    }
  }};
  Client c;
  EXPECT_EQ(c.post_and_wait(to(server.url(), "1")).body, "answer to 1");
  Inbox<Response> ended;
  const auto id = c.post(to(server.url(), "2"), [&](Response r) { ended.put(std::move(r)); });
  asked.get_future().wait();
  c.cancel(id);
  EXPECT_EQ(ended.take().failure, Failure::cancelled);
  hung_up.get_future().wait();
  c.cancel(id);
  EXPECT_EQ(c.post_and_wait(to(server.url(), "3")).body, "answer to 3");
}

TEST(WebSocket, CancelAllAndTheDestructorEndWhatRunsAndWhatComes) {
  WsServer server{never_answer};
  std::atomic<int> cancelled = 0;
  {
    Client c;
    for (int i = 0; i < 10; ++i)
      c.post(to(server.url()), [&](const Response& r) { cancelled += r.failure == Failure::cancelled ? 1 : 0; });
    c.cancel_all();
    EXPECT_EQ(c.post_and_wait(to(server.url())).failure, Failure::cancelled);
  }
  EXPECT_EQ(cancelled, 10);
  {
    Client c;
    for (int i = 0; i < 10; ++i)
      c.post(to(server.url()), [&](const Response& r) { cancelled += r.failure == Failure::cancelled ? 1 : 0; });
  }
  EXPECT_EQ(cancelled, 20);
}

TEST(WebSocket, AnAnswerThatIsTooLargeIsNotReadToItsEnd) {
  WsServer server{[](Peer& peer, int) {
    peer.read();
    // A frame of 2^62 bytes, which never ends.
    peer.raw(std::string{"\x81\x7f\x40\0\0\0\0\0\0\0", 10});
    while (true) peer.raw(std::string(1U << 16U, 'x'));
  }};
  Client c;
  Request r = to(server.url());
  r.max_response_bytes = 1U << 20U;
  const Response a = c.post_and_wait(r);
  EXPECT_EQ(a.failure, Failure::too_large);
  EXPECT_TRUE(absl::IsResourceExhausted(a.transport)) << a.transport;
}

TEST(WebSocket, AnAnswerAsLargeAsAllowedArrivesWhole) {
  const std::string large(3U << 20U, 'y');
  WsServer server{[&](Peer& peer, int) {
    while (true) {
      peer.read();
      peer.write(large);
    }
  }};
  Client c;
  Request r = to(server.url());
  r.max_response_bytes = large.size();
  EXPECT_EQ(c.post_and_wait(r).body, large);
  r.max_response_bytes = large.size() - 1;
  EXPECT_EQ(c.post_and_wait(r).failure, Failure::too_large);
}

TEST(WebSocket, ClosedInTheMiddleOfTheAnswer) {
  WsServer server{[](Peer& peer, int) {
    peer.read();
    peer.raw(std::string{"\x81\x7d{\"", 4});  // 125 bytes are promised
  }};
  Client c;
  const Response a = c.post_and_wait(to(server.url()));
  EXPECT_EQ(a.failure, Failure::lost);
  EXPECT_TRUE(absl::IsUnavailable(a.transport)) << a.transport;
}

TEST(WebSocket, FramesThatAreNone) {
  WsServer server{[](Peer& peer, int) {
    peer.read();
    peer.raw(std::string(64, '\xff'));
    peer.wait_for_the_end();
  }};
  Client c;
  EXPECT_EQ(c.post_and_wait(to(server.url())).failure, Failure::lost);
}

TEST(WebSocket, AConnectionThatWasClosedWhileIdleIsReplaced) {
  WsServer server{[](Peer& peer, int connection) {
    peer.write("answer to " + peer.read());
    if (connection == 0) {
      peer.read();
      return;  // as if it had been closed just before
    }
    peer.wait_for_the_end();
  }};
  Client c;
  EXPECT_EQ(c.post_and_wait(to(server.url(), "1")).body, "answer to 1");
  EXPECT_EQ(c.post_and_wait(to(server.url(), "2")).body, "answer to 2");
  EXPECT_EQ(server.connections(), 2);
}

TEST(WebSocket, AnIdleConnectionIsClosed) {
  std::promise<void> hung_up;
  WsServer server{[&](Peer& peer, int) {
    peer.write(peer.read());
    try {
      peer.wait_for_the_end();
    } catch (const std::exception&) {
      hung_up.set_value();
    }
  }};
  WebSockets sockets{absl::Milliseconds(50)};
  Inbox<Response> answers;
  sockets.post(1, to(server.url()), [&](Response r) { answers.put(std::move(r)); });
  EXPECT_TRUE(answers.take().transport.ok());
  hung_up.get_future().wait();
}

TEST(WebSocket, ANotificationIsNoAnswer) {
  WsServer server{[](Peer& peer, int) {
    peer.read();
    peer.write(R"({"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1","result":{}}})");
    peer.write(R"({"jsonrpc":"2.0","id":1,"result":"0x7"})");
    peer.wait_for_the_end();
  }};
  Client c;
  EXPECT_EQ(c.post_and_wait(to(server.url())).body, R"({"jsonrpc":"2.0","id":1,"result":"0x7"})");
}

TEST(WebSocket, AFloodOfNotificationsEndsTheConnection) {
  WsServer server{[](Peer& peer, int) {
    peer.read();
    while (true) peer.write(R"({"jsonrpc":"2.0","method":"eth_subscription","params":{}})");
  }};
  Client c;
  EXPECT_EQ(c.post_and_wait(to(server.url())).failure, Failure::other);
}

TEST(WebSocket, AnAnswerToNothingEndsTheConnection) {
  std::promise<void> said;
  WsServer server{[&](Peer& peer, int connection) {
    peer.write("answer to " + peer.read());
    if (connection == 0) {
      peer.write("once more");
      try {
        peer.wait_for_the_end();
      } catch (const std::exception&) {
        said.set_value();
      }
      return;
    }
    peer.wait_for_the_end();
  }};
  Client c;
  EXPECT_EQ(c.post_and_wait(to(server.url(), "1")).body, "answer to 1");
  said.get_future().wait();
  EXPECT_EQ(c.post_and_wait(to(server.url(), "2")).body, "answer to 2");
}

TEST(WebSocket, ARefusedUpgradeIsAnAnswerWithItsStatus) {
  for (const unsigned status : {308U, 401U, 403U, 426U, 429U, 503U}) {
    WsServer server{never_answer};
    server.refuse([&](const UpgradeRequest&) {
      UpgradeResponse r{static_cast<boost::beast::http::status>(status), 11};
      r.set("Retry-After", "7");
      r.set("Location", "https://elsewhere.example/rpc");
      r.body() = "why";
      return r;
    });
    Client c;
    const Response a = c.post_and_wait(to(server.url()));
    EXPECT_TRUE(a.transport.ok()) << a.transport;
    EXPECT_EQ(a.failure, Failure::none);
    EXPECT_EQ(a.status, static_cast<long>(status));
    EXPECT_EQ(a.retry_after, absl::Seconds(7));
    EXPECT_EQ(a.location, "https://elsewhere.example/rpc");
    EXPECT_EQ(a.body, "why");
  }
}

TEST(WebSocket, AServerThatAllowsTwoConnectionsIsUsedWithTwo) {
  std::atomic<int> upgraded = 0;
  WsServer server{echo};
  server.refuse([&](const UpgradeRequest&) -> std::optional<UpgradeResponse> {
    if (++upgraded <= 2) return std::nullopt;
    return UpgradeResponse{boost::beast::http::status::too_many_requests, 11};
  });
  Client c;
  // In sequence, so that the first two are open when the third is refused.
  EXPECT_TRUE(c.post_and_wait(to(server.url(), "first")).transport.ok());
  Inbox<Response> answers;
  for (int i = 0; i < 50; ++i) c.post(to(server.url(), "x"), [&](Response r) { answers.put(std::move(r)); });
  for (int i = 0; i < 50; ++i) EXPECT_EQ(answers.take().status, 200);
}

TEST(WebSocket, AnHttpServerThatKnowsNoWebSocketGivesNoAnswer) {
  WsServer server{never_answer};
  server.refuse([](const UpgradeRequest&) {
    UpgradeResponse r{boost::beast::http::status::ok, 11};
    r.body() = R"({"jsonrpc":"2.0","id":1,"result":"0x7"})";
    return r;
  });
  Client c;
  const Response a = c.post_and_wait(to(server.url()));
  EXPECT_EQ(a.failure, Failure::other);
  EXPECT_NE(a.transport.message().find("no WebSocket"), absl::string_view::npos) << a.transport;
}

TEST(WebSocket, GarbageInsteadOfAHandshake) {
  test::Acceptor server{"127.0.0.1", [](test::tcp::socket s) {
                          test::asio::write(s, test::asio::buffer(std::string{"SSH-2.0-server\r\n"}));
                          char c = 0;
                          while (true) s.read_some(test::asio::buffer(&c, 1));
                        }};
  Client c;
  EXPECT_EQ(c.post_and_wait(to(absl::StrCat("ws://127.0.0.1:", server.port))).failure, Failure::other);
}

TEST(WebSocket, SilenceInsteadOfAHandshakeEndsAtTheTimeout) {
  test::Acceptor server{"127.0.0.1", [](test::tcp::socket s) {
                          char c = 0;
                          while (true) s.read_some(test::asio::buffer(&c, 1));
                        }};
  Client c;
  Request r = to(absl::StrCat("ws://127.0.0.1:", server.port));
  r.timeout = absl::Milliseconds(200);
  EXPECT_EQ(c.post_and_wait(r).failure, Failure::timeout);
}

TEST(WebSocket, NothingListensThereAndNoSecretIsSaid) {
  Client c;
  Request r = to("ws://user:pa55word@127.0.0.1:1/key-in-path?key=1");
  r.headers = {"X: key-in-header"};
  const Response a = c.post_and_wait(r);
  EXPECT_EQ(a.failure, Failure::refused);
  for (const char* secret : {"pa55word", "key-in-path", "key=1", "key-in-header"})
    EXPECT_EQ(a.transport.message().find(secret), absl::string_view::npos) << secret;
}

TEST(WebSocket, AnIpv6Literal) {
  std::optional<WsServer> server;
  try {
    server.emplace(echo, std::nullopt, "::1");
  } catch (const std::exception&) {
    GTEST_SKIP() << "this machine has no IPv6";
  }
  Client c;
  EXPECT_EQ(c.post_and_wait(to(absl::StrCat("ws://[::1]:", server->port()), "x")).body, "x");
  EXPECT_EQ(server->upgrades().at(0)["Host"], absl::StrCat("[::1]:", server->port()));
  httplib::Server http;
  http.set_keep_alive_timeout(1);
  http.Post("/", [](const httplib::Request& req, httplib::Response& res) { res.set_content(req.body, "text/plain"); });
  const int port = http.bind_to_any_port("::1");
  std::thread thread{[&] { http.listen_after_bind(); }};
  while (!http.is_running()) std::this_thread::yield();
  EXPECT_EQ(c.post_and_wait(to(absl::StrCat("http://[::1]:", port), "y")).body, "y");
  http.stop();
  thread.join();
}

/// A wss and an https server with the same certificate.
class TlsServers {
 public:
  explicit TlsServers(const Pki::Leaf& leaf) : ws{echo, leaf}, https_{leaf.cert_file.c_str(), leaf.key_file.c_str()} {
    https_.set_keep_alive_timeout(1);
    https_.Post("/", [](const httplib::Request& q, httplib::Response& a) { a.set_content(q.body, "text/plain"); });
    https_port_ = https_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread{[this] { https_.listen_after_bind(); }};
    while (!https_.is_running()) std::this_thread::yield();
  }
  ~TlsServers() {
    https_.stop();
    thread_.join();
  }
  TlsServers(const TlsServers&) = delete;
  TlsServers& operator=(const TlsServers&) = delete;
  std::vector<std::string> urls(const std::string& host = "127.0.0.1") const {
    return {absl::StrCat("wss://", host, ":", ws.port()), absl::StrCat("https://", host, ":", https_port_)};
  }
  std::uint16_t https_port() const { return static_cast<std::uint16_t>(https_port_); }

  WsServer ws;

 private:
  httplib::SSLServer https_;
  int https_port_ = 0;
  std::thread thread_;
};

TEST(TlsTest, APrivateAuthorityIsTrustedForItsNamesAlone) {
  Pki pki;
  const TlsServers servers{pki.leaf("DNS:localhost,IP:127.0.0.1")};
  Client c;
  for (const char* host : {"127.0.0.1", "localhost"}) {
    for (const auto& url : servers.urls(host)) {
      Request r = to(url, "x");
      r.ca_file = pki.ca_file;
      const Response a = c.post_and_wait(r);
      EXPECT_EQ(a.body, "x") << url << " " << a.transport;
    }
  }
  const auto why = [&](const std::string& url, const std::string& ca_file) {
    Request r = to(url);
    r.ca_file = ca_file;
    const Response a = c.post_and_wait(r);
    EXPECT_EQ(a.failure, Failure::tls) << url << " " << a.transport;
    return std::string{a.transport.message()};
  };
  for (const auto& url : servers.urls()) EXPECT_THAT(why(url, ""), ::testing::HasSubstr("ca_file")) << url;
  for (const auto& url : servers.urls())
    EXPECT_THAT(why(url, "/nonexistent.pem"), ::testing::HasSubstr("cannot be read")) << url;
  const TlsServers misnamed{pki.leaf("DNS:other.test")};
  for (const auto& url : misnamed.urls())
    EXPECT_THAT(why(url, pki.ca_file), ::testing::HasSubstr("another name")) << url;
  for (const auto& url : misnamed.urls("localhost"))
    EXPECT_THAT(why(url, pki.ca_file), ::testing::HasSubstr("another name")) << url;
  const TlsServers expired{pki.leaf("IP:127.0.0.1", -60)};
  for (const auto& url : expired.urls()) EXPECT_THAT(why(url, pki.ca_file), ::testing::HasSubstr("expired")) << url;
  WsServer plain{echo};
  for (const char* scheme : {"wss", "https"})
    EXPECT_THAT(why(absl::StrCat(scheme, "://127.0.0.1:", plain.port()), pki.ca_file),
                ::testing::HasSubstr("plain text"));
}

TEST(ProxyTest, EveryKindOfUrlGoesThroughItAndItSeesNoKey) {
  Pki pki;
  const TlsServers tls{pki.leaf("DNS:node.test")};
  WsServer plain{echo};
  const struct {
    std::string url;
    std::uint16_t leads_to;
    bool tunnel;
  } cases[] = {
      {"https://user:pa55word@node.test/?key=1", tls.https_port(), true},
      {"wss://user:pa55word@node.test/?key=1", tls.ws.port(), true},
      {"ws://user:pa55word@node.test/?key=1", plain.port(), true},
      {"http://node.test/rpc", 1, false},
  };
  for (const auto& x : cases) {
    ProxyServer proxy{x.leads_to};
    Client c;
    Request r = to(x.url);
    r.headers = {"X-Key: key-in-header"};
    r.ca_file = pki.ca_file;
    r.proxy = proxy.url();
    const Response a = c.post_and_wait(r);
    EXPECT_EQ(a.body, "{}") << x.url << " " << a.transport;
    const auto asked = proxy.requests().at(0);
    if (!x.tunnel) {
      EXPECT_EQ(asked.target(), "http://node.test/rpc");
      continue;
    }
    EXPECT_EQ(asked.method(), boost::beast::http::verb::connect);
    std::ostringstream all;
    all << asked;
    const std::string text = all.str();
    for (const char* secret : {"pa55word", "key=1", "key-in-header", "uthorization"})
      EXPECT_EQ(text.find(secret), std::string::npos) << text;
  }
}

TEST(ProxyTest, ItsFailuresAreNamedAsItsOwnAndItsPasswordIsNeverSaid) {
  WsServer node{echo};
  for (const char* url : {"https://node.test/", "http://node.test/", "wss://node.test/", "ws://node.test/"}) {
    ProxyServer proxy{node.port()};
    proxy.want_authorization = "Basic dXNlcjpwYTU1d29yZA==";  // user:pa55word
    Client c;
    Request r = to(url);
    r.proxy = proxy.url("user:wr0ngword@");
    const Response refused = c.post_and_wait(r);
    EXPECT_EQ(refused.failure, Failure::proxy) << url << " " << refused.transport;
    EXPECT_EQ(refused.status, 407) << url;
    EXPECT_EQ(refused.transport.message().find("wr0ngword"), absl::string_view::npos);
    r.proxy = proxy.url("user:pa55word@");
    const Response let_in = c.post_and_wait(r);
    EXPECT_NE(let_in.failure, Failure::proxy) << url << " " << let_in.transport;
    r.proxy = "http://user:pa55word@127.0.0.1:1";
    const Response down = c.post_and_wait(r);
    EXPECT_EQ(down.failure, Failure::proxy) << url << " " << down.transport;
    EXPECT_EQ(down.transport.message().find("pa55word"), absl::string_view::npos);
  }
}

TEST(ProxyTest, OfTheEnvironmentIsForThoseThatAskForItAndNeverForThisMachine) {
  WsServer node{echo};
  ProxyServer proxy{node.port()};
  ::setenv("http_proxy", proxy.url().c_str(), 1);
  Client c;
  Request r = to("ws://node.test/", "x");
  r.proxy = std::nullopt;
  EXPECT_EQ(c.post_and_wait(r).body, "x");
  r.url = "http://node.test/";
  EXPECT_EQ(c.post_and_wait(r).body, "{}");
  EXPECT_EQ(proxy.requests().size(), 2U);
  r.url = node.url();
  EXPECT_EQ(c.post_and_wait(r).body, "x");
  r.url = "http://127.0.0.1:1/";
  EXPECT_EQ(c.post_and_wait(r).failure, Failure::refused);
  ::unsetenv("http_proxy");
  EXPECT_EQ(proxy.requests().size(), 2U);
}

constexpr const char* kHead =
    R"({"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1","result":{"number":"0x1"}}})";
constexpr const char* kSubscribed = R"({"jsonrpc":"2.0","id":1,"result":"0x1"})";

Push next(Inbox<Push>& inbox, Push::Kind kind) {
  Push p = inbox.take();
  EXPECT_EQ(p.kind, kind) << p.why.transport;
  return p;
}

TEST(Subscription, TellsOfHeadsAndIsSetUpAnew) {
  Inbox<std::string> asked;
  std::promise<void> seen;
  WsServer server{[&](Peer& peer, int connection) {
    asked.put(peer.read());
    peer.write(kSubscribed);
    peer.write(kHead);
    if (connection == 0) {
      seen.get_future().wait();
      return;
    }
    peer.wait_for_the_end();
  }};
  Inbox<Push> told;
  Client c;
  const auto id = c.subscribe_heads(to(server.url("/key?x=1")), [&](Push p) { told.put(std::move(p)); });
  next(told, Push::Kind::live);
  EXPECT_EQ(asked.take(), R"({"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]})");
  next(told, Push::Kind::head);
  seen.set_value();
  EXPECT_EQ(next(told, Push::Kind::down).why.failure, Failure::lost);
  next(told, Push::Kind::live);
  next(told, Push::Kind::head);
  c.cancel(id);
  EXPECT_EQ(server.upgrades().at(1).target(), "/key?x=1");
}

TEST(Subscription, ManyHeadsAtOnceAreOne) {
  std::promise<void> seen;
  WsServer server{[&](Peer& peer, int) {
    peer.read();
    peer.write(kSubscribed);
    for (int i = 0; i < 100; ++i) peer.write(kHead);
    peer.write("[]");  // no notification
    seen.get_future().wait();
  }};
  Inbox<Push> told;
  std::atomic<int> heads = 0;
  Client c;
  c.subscribe_heads(to(server.url()), [&](Push p) {
    heads += p.kind == Push::Kind::head ? 1 : 0;
    told.put(std::move(p));
  });
  next(told, Push::Kind::live);
  next(told, Push::Kind::head);
  seen.set_value();
  while (told.take().kind != Push::Kind::down) {
  }
  EXPECT_LT(heads, 100);
}

TEST(Subscription, AFloodEndsIt) {
  WsServer server{[](Peer& peer, int) {
    peer.read();
    peer.write(kSubscribed);
    while (true) peer.write(kHead);
  }};
  Inbox<Push> told;
  Client c;
  c.subscribe_heads(to(server.url()), [&](Push p) { told.put(std::move(p)); });
  next(told, Push::Kind::live);
  Push p = told.take();
  while (p.kind == Push::Kind::head) p = told.take();
  EXPECT_EQ(p.kind, Push::Kind::down);
  EXPECT_EQ(p.why.failure, Failure::other);
}

TEST(Subscription, TheSourceDoesNotKnowIt) {
  WsServer server{[](Peer& peer, int) {
    peer.read();
    peer.write(R"({"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no such method"}})");
    peer.wait_for_the_end();
  }};
  Inbox<Push> told;
  Client c;
  c.subscribe_heads(to(server.url()), [&](Push p) { told.put(std::move(p)); });
  EXPECT_THAT(std::string{next(told, Push::Kind::down).why.transport.message()}, ::testing::HasSubstr("refuses"));
}

TEST(Subscription, TheUpgradeIsRefused) {
  WsServer server{never_answer};
  server.refuse([](const UpgradeRequest&) { return UpgradeResponse{boost::beast::http::status::unauthorized, 11}; });
  Inbox<Push> told;
  Client c;
  c.subscribe_heads(to(server.url()), [&](Push p) { told.put(std::move(p)); });
  EXPECT_EQ(next(told, Push::Kind::down).why.status, 401);
}

TEST(Subscription, ASourceThatSaysNothingIsTriedAgain) {
  WsServer server{never_answer};
  Inbox<Push> told;
  Client c;
  Request r = to(server.url());
  r.timeout = absl::Milliseconds(200);
  c.subscribe_heads(r, [&](Push p) { told.put(std::move(p)); });
  EXPECT_EQ(next(told, Push::Kind::down).why.failure, Failure::timeout);
  EXPECT_EQ(next(told, Push::Kind::down).why.failure, Failure::timeout);
}

TEST(Subscription, NeedsAWebSocketUrl) {
  Inbox<Push> told;
  Client c;
  c.subscribe_heads(to("http://127.0.0.1:1/"), [&](Push p) { told.put(std::move(p)); });
  EXPECT_EQ(next(told, Push::Kind::down).why.failure, Failure::other);
}

}  // namespace
}  // namespace towline::http
