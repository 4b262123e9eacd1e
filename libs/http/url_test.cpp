#include "libs/http/url.hpp"

#include <gtest/gtest.h>
#include <openssl/x509_vfy.h>

#include <fstream>
#include <map>

#include "libs/http/push_backoff.hpp"

namespace towline::http {
namespace {

TEST(Url, IsCheckedAndShownWithoutSecrets) {
  EXPECT_TRUE(check_url("http://127.0.0.1:8545").ok());
  EXPECT_TRUE(check_url("https://u:p@host.example/v2/key?x=1").ok());
  EXPECT_TRUE(check_url("wss://host.example/v2/key").ok());
  EXPECT_TRUE(check_url("WS://host.example").ok());
  for (const char* bad :
       {"", "host:8545", "ftp://host", "http://", "ws://", "http://a b", "http://h:99999", "http://[::1"})
    EXPECT_FALSE(check_url(bad).ok()) << bad;
  EXPECT_EQ(redact_url("https://u:p@host.example:444/v2/key?x=1"), "https://host.example:444");
  EXPECT_EQ(redact_url("wss://u:p@host.example/v2/key?x=1"), "wss://host.example:443");
  EXPECT_EQ(redact_url("WS://host.example"), "ws://host.example:80");
  EXPECT_TRUE(check_http_url("https://host").ok());
  EXPECT_FALSE(check_http_url("wss://host").ok());
}

TEST(Url, OfAnIpv6Literal) {
  EXPECT_EQ(redact_url("http://[::1]:8545"), "http://[::1]:8545");
  EXPECT_EQ(redact_url("wss://user:secret@[2001:db8::7]/key"), "wss://[2001:db8::7]:443");
  EXPECT_EQ(parse_url("ws://[::1]:8546")->host, "::1");
  for (const char* zoned : {"http://[fe80::1%25eth0]:8545", "ws://[fe80::1%eth0]:8545"}) {
    const auto st = check_url(zoned);
    EXPECT_FALSE(st.ok()) << zoned;
    EXPECT_NE(st.message().find("zone id"), absl::string_view::npos) << st;
  }
}

TEST(Url, PartsOfIt) {
  const auto u = parse_url("wss://us%40er:p%3Ass@host.example:8443/v2/key?apikey=abc&x=1#frag");
  ASSERT_TRUE(u.ok()) << u.status();
  EXPECT_EQ(u->host, "host.example");
  EXPECT_EQ(u->port, 8443);
  EXPECT_EQ(u->path_and_query, "/v2/key?apikey=abc&x=1");
  EXPECT_EQ(u->user, "us@er");
  EXPECT_EQ(u->password, "p:ss");
  EXPECT_EQ(parse_url("http://host")->path_and_query, "/");
}

TEST(RedirectTarget, IsWithoutWhatIsSecret) {
  const struct {
    const char *url, *location, *shown;
  } cases[] = {
      {"http://host/v3/0123456789abcdef", "https://host/v3/0123456789abcdef", "https://host:443/v3/***"},
      {"http://user:hunter22@host/", "https://user:hunter22@host/rpc?token=1", "https://host:443/rpc"},
      {"http://host/?apikey=s3cr3tvalue", "https://other.example/k/s3cr3tvalue#x", "https://other.example:443/k/***"},
      {"http://host/key-of-mine", "https://host/pre-key-of-mine.html", "https://host:443/pre-***.html"},
      {"http://host/rpc", "https://host/aVeryLongWordThatMayBeAKey", "https://host:443/***"},
      {"http://host/a/rpc", "/login", "http://host:80/login"},
      {"http://host/a/rpc", "other", "http://host:80/a/other"},
      {"ws://host/rpc", "https://host/rpc", "wss://host:443/rpc"},
      {"ws://host/rpc", "wss://host/rpc", "wss://host:443/rpc"},
      {"http://[::1]:8545/", "https://[::1]:9/x", "https://[::1]:9/x"},
      {"http://host/", "ftp://host/x", "(no URL of a JSON-RPC server)"},
      {"http://host/", "https://[", "(malformed URL)"},
  };
  for (const auto& c : cases) EXPECT_EQ(redirect_target(c.url, c.location), c.shown) << c.location;
  EXPECT_LT(redirect_target("http://host/", "https://host/" + std::string(5000, '/')).size(), 210U);
}

TEST(Proxy, TheRulesOfCurl) {
  using Env = std::map<std::string, std::string>;
  const struct {
    const char* url;
    std::optional<std::string> wanted;
    Env env;
    const char* proxy;
  } cases[] = {
      {"https://host", "", {{"HTTPS_PROXY", "http://p"}}, ""},
      {"https://host", "http://mine", {{"HTTPS_PROXY", "http://p"}, {"NO_PROXY", "*"}}, "http://mine"},
      {"https://host", {}, {}, ""},
      {"https://host", {}, {{"HTTPS_PROXY", "http://p"}}, "http://p"},
      {"wss://host", {}, {{"HTTPS_PROXY", "http://p"}}, "http://p"},
      {"https://host", {}, {{"HTTPS_PROXY", "http://upper"}, {"https_proxy", "http://lower"}}, "http://lower"},
      {"https://host", {}, {{"https_proxy", ""}, {"HTTPS_PROXY", "http://p"}}, "http://p"},
      {"https://host", {}, {{"http_proxy", "http://p"}}, ""},
      {"http://host", {}, {{"http_proxy", "http://p"}}, "http://p"},
      {"ws://host", {}, {{"http_proxy", "http://p"}}, "http://p"},
      {"http://host", {}, {{"HTTP_PROXY", "http://p"}}, ""},
      {"http://host", {}, {{"ALL_PROXY", "http://p"}}, "http://p"},
      {"https://host", {}, {{"all_proxy", "http://p"}}, "http://p"},
      {"https://host", {}, {{"ALL_PROXY", "http://p"}, {"NO_PROXY", "a, host"}}, ""},
      {"https://host", {}, {{"ALL_PROXY", "http://p"}, {"NO_PROXY", "ost"}}, "http://p"},
      {"https://a.example.org", {}, {{"ALL_PROXY", "http://p"}, {"no_proxy", ".Example.org"}}, ""},
      {"https://a.example.org", {}, {{"ALL_PROXY", "http://p"}, {"no_proxy", "example.org"}}, ""},
      {"https://anexample.org", {}, {{"ALL_PROXY", "http://p"}, {"no_proxy", "example.org"}}, "http://p"},
      {"https://10.1.2.3", {}, {{"ALL_PROXY", "http://p"}, {"no_proxy", "10.0.0.0/8"}}, ""},
      {"https://11.1.2.3", {}, {{"ALL_PROXY", "http://p"}, {"no_proxy", "10.0.0.0/8"}}, "http://p"},
      {"https://[2001:db8::1]", {}, {{"ALL_PROXY", "http://p"}, {"no_proxy", "2001:db8::/32"}}, ""},
      {"https://[2001:db8::1]", {}, {{"ALL_PROXY", "http://p"}, {"no_proxy", "[2001:db8::1]"}}, ""},
      {"https://[2001:db8::1]", {}, {{"ALL_PROXY", "http://p"}, {"no_proxy", "10.0.0.0/8"}}, "http://p"},
      {"https://host", {}, {{"ALL_PROXY", "http://p"}, {"no_proxy", "*"}}, ""},
      // This machine is reached without a proxy, whatever is wanted.
      {"http://localhost", "http://mine", {}, ""},
      {"http://127.8.8.8", "http://mine", {{"http_proxy", "http://p"}}, ""},
      {"ws://[::1]", "http://mine", {}, ""},
      {"ws://[::ffff:127.0.0.1]", "http://mine", {}, ""},
      {"ws://0.0.0.0", "http://mine", {}, ""},
  };
  for (const auto& c : cases) {
    const auto env = [&](const char* name) -> std::optional<std::string> {
      const auto it = c.env.find(name);
      return it == c.env.end() ? std::nullopt : std::optional<std::string>{it->second};
    };
    EXPECT_EQ(proxy_for(*parse_url(c.url), c.wanted, env), c.proxy)
        << c.url << " " << ::testing::PrintToString(c.env) << " " << c.wanted.value_or("(environment)");
  }
}

TEST(Proxy, IsChecked) {
  for (const char* good : {"", "http://proxy:3128", "http://u:p@proxy", "socks5h://proxy:1080", "https://proxy"})
    EXPECT_TRUE(check_proxy(good).ok()) << good;
  for (const char* bad : {"proxy:3128", "ftp://proxy", "http://", "none"}) EXPECT_FALSE(check_proxy(bad).ok()) << bad;
  EXPECT_EQ(check_proxy("ftp://user:pa55word@proxy").message().find("pa55word"), absl::string_view::npos);
  EXPECT_EQ(parse_http_proxy("proxy")->port, 1080);
  EXPECT_EQ(parse_http_proxy("http://u:p@proxy:80/")->port, 80);
  EXPECT_FALSE(parse_http_proxy("socks5h://proxy").ok());
}

TEST(CaFile, MissingMalformedOrWithoutCertificate) {
  EXPECT_NE(check_ca_file("/nonexistent/ca.pem").message().find("cannot be read"), absl::string_view::npos);
  const std::string path = ::testing::TempDir() + "towline_no_ca.pem";
  std::ofstream{path} << "no certificate\n";
  EXPECT_NE(check_ca_file(path).message().find("no certificate in PEM form"), absl::string_view::npos);
  std::ofstream{path} << "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  EXPECT_FALSE(check_ca_file(path).ok());
}

TEST(Unverified, SaysWhatToDo) {
  EXPECT_NE(why_unverified(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY).find("ca_file"), std::string::npos);
  EXPECT_NE(why_unverified(X509_V_ERR_HOSTNAME_MISMATCH).find("another name"), std::string::npos);
  EXPECT_NE(why_unverified(X509_V_ERR_CERT_HAS_EXPIRED).find("expired"), std::string::npos);
  EXPECT_NE(why_unverified(X509_V_ERR_CERT_REVOKED).find("revoked"), std::string::npos);
}

TEST(PushBackoff, DoublesUntilOneHasLived) {
  PushBackoff b;
  absl::Time now = absl::UnixEpoch();
  for (const int s : {1, 2, 4, 8, 16, 32, 60, 60}) EXPECT_EQ(b.on_end(now, false, {}, 0), absl::Seconds(s));
  // A subscription that was live for a moment only still counts as failed.
  b.on_live(now);
  EXPECT_EQ(b.on_end(now + absl::Seconds(1), false, {}, 0), absl::Minutes(1));
  b.on_live(now);
  EXPECT_EQ(b.on_end(now + absl::Minutes(1), false, {}, 0), absl::Seconds(1));
  EXPECT_EQ(b.on_end(now, true, {}, 0), absl::Minutes(5));
  EXPECT_EQ(b.on_end(now, false, absl::Minutes(2), 0), absl::Minutes(2));
  PushBackoff spread;
  EXPECT_EQ(spread.on_end(now, false, {}, 0.5), absl::Milliseconds(1250));
}

TEST(FloodGuard, CountsInWindowsOfASecond) {
  FloodGuard g;
  absl::Time now = absl::UnixEpoch();
  for (int i = 0; i < FloodGuard::kPerSecond; ++i) EXPECT_TRUE(g.admit(now));
  EXPECT_FALSE(g.admit(now));
  EXPECT_TRUE(g.admit(now + absl::Seconds(1)));
}

}  // namespace
}  // namespace towline::http
