// Servers for the tests of this library: new certificates, a WebSocket server that follows a script, and an HTTP proxy.
// Each connection has its own thread; the destructors end them all.
#pragma once
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <condition_variable>
#include <cstdio>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace towline::http::test {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using UpgradeRequest = beast::http::request<beast::http::string_body>;
using UpgradeResponse = beast::http::response<beast::http::string_body>;

/// An authority and the certificates that it signs, in files.
class Pki {
 public:
  Pki() : ca_key_{make_key()} {
    ca_ = make(ca_key_.get(), "towline test authority", "", 3600, nullptr);
    ca_file = write("ca", [this](std::FILE* f) { PEM_write_X509(f, ca_.get()); });
  }

  struct Leaf {
    std::string cert_file, key_file;
  };
  /// `names` in OpenSSL's form: "DNS:a.test,IP:127.0.0.1". With negative `seconds` the certificate has expired already.
  Leaf leaf(const std::string& names, long seconds = 3600) {
    const auto key = make_key();
    const auto cert = make(key.get(), "leaf", names, seconds, ca_.get());
    const std::string n = std::to_string(++leaves_);
    return {write("leaf" + n, [&](std::FILE* f) { PEM_write_X509(f, cert.get()); }),
            write("key" + n,
                  [&](std::FILE* f) { PEM_write_PrivateKey(f, key.get(), nullptr, nullptr, 0, nullptr, nullptr); })};
  }

  std::string ca_file;

 private:
  using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
  using Cert = std::unique_ptr<X509, decltype(&X509_free)>;

  static Key make_key() { return {EVP_EC_gen("P-256"), EVP_PKEY_free}; }

  Cert make(EVP_PKEY* key, const char* name, const std::string& names, long seconds, X509* issuer) {
    Cert cert{X509_new(), X509_free};
    X509_set_version(cert.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert.get()), ++serial_);
    X509_gmtime_adj(X509_getm_notBefore(cert.get()), -7200);
    X509_gmtime_adj(X509_getm_notAfter(cert.get()), seconds);
    X509_set_pubkey(cert.get(), key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert.get()), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
    X509_set_issuer_name(cert.get(), X509_get_subject_name(issuer == nullptr ? cert.get() : issuer));
    const auto extend = [&](int nid, const std::string& value) {
      X509_EXTENSION* e = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
      X509_add_ext(cert.get(), e, -1);
      X509_EXTENSION_free(e);
    };
    if (issuer == nullptr) extend(NID_basic_constraints, "critical,CA:TRUE");
    if (!names.empty()) extend(NID_subject_alt_name, names);
    X509_sign(cert.get(), issuer == nullptr ? key : ca_key_.get(), EVP_sha256());
    return cert;
  }

  template <typename F>
  static std::string write(const std::string& name, F f) {
    const std::string path = ::testing::TempDir() + "towline_http_test_" + std::to_string(::getpid()) + "_" + name;
    std::FILE* file = std::fopen(path.c_str(), "w");
    f(file);
    std::fclose(file);
    return path;
  }

  Key ca_key_;
  Cert ca_{nullptr, X509_free};
  long serial_ = 0;
  int leaves_ = 0;
};

/// Accepts connections, each served by `serve` in a thread of its own.
class Acceptor {
 public:
  Acceptor(const std::string& address, std::function<void(tcp::socket)> serve)
      : acceptor_{io_, tcp::endpoint{asio::ip::make_address(address), 0}}, serve_{std::move(serve)} {
    port = acceptor_.local_endpoint().port();
    thread_ = std::thread{[this] { run(); }};
  }
  ~Acceptor() {
    {
      const std::lock_guard lock{mutex_};
      stopping_ = true;
      for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
    }
    ::shutdown(acceptor_.native_handle(), SHUT_RDWR);
    thread_.join();
    for (auto& t : workers_) t.join();
  }
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  /// While a guard lives, the acceptor's destructor shuts the socket down.
  class Guard {
   public:
    Guard(Acceptor& a, int fd) : a_{a}, fd_{fd} {
      const std::lock_guard lock{a_.mutex_};
      a_.open_.insert(fd_);
      if (a_.stopping_) ::shutdown(fd_, SHUT_RDWR);
    }
    ~Guard() {
      const std::lock_guard lock{a_.mutex_};
      a_.open_.erase(fd_);
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    Acceptor& a_;
    int fd_;
  };

  std::uint16_t port = 0;

 private:
  void run() {
    while (true) {
      boost::system::error_code ec;
      tcp::socket s = acceptor_.accept(ec);
      const std::lock_guard lock{mutex_};
      if (stopping_ || ec) return;
      workers_.emplace_back([this, socket = std::make_shared<tcp::socket>(std::move(s))] {
        try {
          const Guard guard{*this, socket->native_handle()};
          serve_(std::move(*socket));
        } catch (const std::exception&) {  // the client is gone
        }
      });
    }
  }

  asio::io_context io_;
  tcp::acceptor acceptor_;
  const std::function<void(tcp::socket)> serve_;
  std::mutex mutex_;
  bool stopping_ = false;
  std::set<int> open_;
  std::list<std::thread> workers_;
  std::thread thread_;
};

/// One accepted WebSocket, for the script of a test. Its functions throw when the client is gone.
class Peer {
 public:
  virtual ~Peer() = default;
  virtual std::string read() = 0;
  virtual void write(const std::string& message) = 0;
  /// Sends bytes without framing.
  virtual void raw(const std::string& bytes) = 0;
  /// Returns when the client has hung up.
  void wait_for_the_end() {
    while (true) read();
  }
};

template <typename Stream>
class PeerOn final : public Peer {
 public:
  explicit PeerOn(Stream& ws) : ws_{ws} {}
  std::string read() override {
    beast::flat_buffer b;
    ws_.read(b);
    return beast::buffers_to_string(b.data());
  }
  void write(const std::string& message) override { ws_.write(asio::buffer(message)); }
  void raw(const std::string& bytes) override { asio::write(ws_.next_layer(), asio::buffer(bytes)); }

 private:
  Stream& ws_;
};

class WsServer {
 public:
  /// `connection`: the number of the connection, from 0.
  using Script = std::function<void(Peer&, int connection)>;
  /// The response that refuses an upgrade; nullopt: accepted.
  using Refuse = std::function<std::optional<UpgradeResponse>(const UpgradeRequest&)>;

  explicit WsServer(Script script, std::optional<Pki::Leaf> tls = {}, const std::string& address = "127.0.0.1")
      : script_{std::move(script)}, tls_{std::move(tls)}, acceptor_{address, [this](tcp::socket s) {
                                                                      serve(std::move(s));
                                                                    }} {}

  std::uint16_t port() const { return acceptor_.port; }
  std::string url(const std::string& path = "/") const {
    return (tls_ ? "wss" : "ws") + std::string{"://127.0.0.1:"} + std::to_string(acceptor_.port) + path;
  }
  int connections() {
    const std::lock_guard lock{mutex_};
    return connections_;
  }
  std::vector<UpgradeRequest> upgrades() {
    const std::lock_guard lock{mutex_};
    return upgrades_;
  }
  void refuse(Refuse r) {
    const std::lock_guard lock{mutex_};
    refuse_ = std::move(r);
  }

 private:
  void serve(tcp::socket s) {
    if (!tls_) {
      beast::websocket::stream<tcp::socket> ws{std::move(s)};
      talk(ws);
      return;
    }
    asio::ssl::context context{asio::ssl::context::tls_server};
    context.use_certificate_chain_file(tls_->cert_file);
    context.use_private_key_file(tls_->key_file, asio::ssl::context::pem);
    beast::websocket::stream<beast::ssl_stream<tcp::socket>> ws{std::move(s), context};
    ws.next_layer().handshake(asio::ssl::stream_base::server);
    talk(ws);
  }

  template <typename Stream>
  void talk(Stream& ws) {
    beast::flat_buffer b;
    UpgradeRequest request;
    beast::http::read(ws.next_layer(), b, request);
    std::optional<UpgradeResponse> refusal;
    int connection = 0;
    {
      const std::lock_guard lock{mutex_};
      upgrades_.push_back(request);
      if (refuse_) refusal = refuse_(request);
      connection = connections_++;
    }
    if (refusal) {
      refusal->prepare_payload();
      beast::http::write(ws.next_layer(), *refusal);
      return;
    }
    ws.accept(request);
    PeerOn<Stream> peer{ws};
    script_(peer, connection);
  }

  const Script script_;
  const std::optional<Pki::Leaf> tls_;
  std::mutex mutex_;
  Refuse refuse_;
  int connections_ = 0;
  std::vector<UpgradeRequest> upgrades_;
  Acceptor acceptor_;
};

/// A proxy: CONNECT to any host leads to one port of this machine. It answers other requests itself, with "{}".
class ProxyServer {
 public:
  explicit ProxyServer(std::uint16_t to)
      : to_{to}, acceptor_{"127.0.0.1", [this](tcp::socket s) { serve(std::move(s)); }} {}

  std::string url(const std::string& user = "") const {
    return "http://" + user + "127.0.0.1:" + std::to_string(acceptor_.port);
  }
  /// The requests that it got, with their headers.
  std::vector<UpgradeRequest> requests() {
    const std::lock_guard lock{mutex_};
    return requests_;
  }
  std::string want_authorization;

 private:
  void serve(tcp::socket client) {
    beast::flat_buffer b;
    beast::http::request_parser<beast::http::string_body> parser;
    beast::http::read_header(client, b, parser);
    const bool connect = parser.get().method() == beast::http::verb::connect;
    if (!connect) beast::http::read(client, b, parser);
    const UpgradeRequest request = parser.get();
    {
      const std::lock_guard lock{mutex_};
      requests_.push_back(request);
    }
    UpgradeResponse answer{beast::http::status::ok, 11};
    if (!want_authorization.empty() && request[beast::http::field::proxy_authorization] != want_authorization) {
      answer.result(beast::http::status::proxy_authentication_required);
      answer.set(beast::http::field::proxy_authenticate, "Basic realm=\"x\"");
    }
    if (!connect) answer.body() = "{}";
    if (!connect || answer.result() != beast::http::status::ok) {
      answer.prepare_payload();
      beast::http::write(client, answer);
      return;
    }
    asio::write(client, asio::buffer(std::string{"HTTP/1.1 200 Connection established\r\n\r\n"}));
    asio::io_context io;
    tcp::socket server{io};
    server.connect({asio::ip::make_address("127.0.0.1"), to_});
    const Acceptor::Guard guard{acceptor_, server.native_handle()};
    std::thread back{[&] { pump(server, client); }};
    pump(client, server);
    back.join();
  }

  static void pump(tcp::socket& from, tcp::socket& to) {
    std::vector<char> bytes(64U << 10U);
    boost::system::error_code ec;
    while (!ec) {
      const std::size_t n = from.read_some(asio::buffer(bytes), ec);
      if (n > 0) asio::write(to, asio::buffer(bytes.data(), n), ec);
    }
    ::shutdown(to.native_handle(), SHUT_RDWR);
    ::shutdown(from.native_handle(), SHUT_RDWR);
  }

  const std::uint16_t to_;
  std::mutex mutex_;
  std::vector<UpgradeRequest> requests_;
  Acceptor acceptor_;
};

}  // namespace towline::http::test
