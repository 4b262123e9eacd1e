#include "libs/http/ws_connection.hpp"

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <optional>
#include <variant>

namespace towline::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using ErrorCode = boost::system::error_code;
using asio::ip::tcp;
using Plain = websocket::stream<beast::tcp_stream>;
using Tls = websocket::stream<beast::ssl_stream<beast::tcp_stream>>;
template <typename T>
using Task = asio::awaitable<T>;

/// From the host name to the upgrade.
constexpr auto kOpen = std::chrono::seconds{10};
/// To connect to one of the host's addresses; the first kMaxAddresses are tried.
constexpr auto kConnect = std::chrono::seconds{4};
constexpr std::size_t kMaxAddresses = 8;
/// After half of this silence the server gets a ping; after all of it the connection ends.
constexpr auto kSilence = std::chrono::seconds{30};
constexpr std::size_t kUnasked = 1U << 20U;
constexpr std::size_t kChunk = 64U << 10U;

auto into(ErrorCode& ec) { return asio::redirect_error(asio::use_awaitable, ec); }

std::string host_header(const Url& url) {
  const std::string authority = url.authority();
  const auto colon = authority.rfind(':');
  return url.port == (url.tls() ? 443 : 80) ? authority.substr(0, colon) : authority;
}

std::string basic(const std::string& user, const std::string& password) {
  return absl::StrCat("Basic ", absl::Base64Escape(absl::StrCat(user, ":", password)));
}

/// OpenSSL's own macro holds a C cast.
bool set_sni(SSL* ssl, std::string host) {
  return SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, host.data()) == 1;
}

bool is_ip(const std::string& host) {
  ErrorCode ec;
  asio::ip::make_address(host, ec);
  return !ec;
}

class Connection final : public WsConnection, public std::enable_shared_from_this<Connection> {
 public:
  Connection(asio::io_context& io, WsTarget target, Handler& handler)
      : io_{io}, target_{std::move(target)}, handler_{&handler}, resolver_{io}, timer_{io} {}

  void start() {
    timer_.expires_after(kOpen);
    timer_.async_wait([self = shared_from_this()](ErrorCode ec) {
      if (!ec && !self->open_) self->down(timed_out(absl::FromChrono(kOpen)));
    });
    asio::co_spawn(io_, run(shared_from_this()), asio::detached);
  }

  void send(std::string message, std::size_t max_message) override {
    max_message_ = max_message;
    sending_ = true;
    asio::co_spawn(io_, write(shared_from_this(), std::move(message)), asio::detached);
  }
  bool sending() const override { return sending_; }

  void close() override {
    handler_ = nullptr;
    ErrorCode ignored;
    timer_.cancel(ignored);
    resolver_.cancel();
    if (tcp_) tcp_->close();
    if (ws_) std::visit([](auto& ws) { beast::get_lowest_layer(ws).close(); }, *ws_);
  }

 private:
  void down(Response why) {
    Handler* const handler = handler_;
    if (handler == nullptr) return;
    close();
    handler->on_down(*this, std::move(why));
  }
  bool closed() const { return handler_ == nullptr; }

  /// The code that finds the end of the connection reports it with down().
  static Task<void> run(std::shared_ptr<Connection> self) {
    try {
      Response why = co_await self->open();
      if (self->closed()) co_return;
      if (!self->open_) {
        self->down(std::move(why));
        co_return;
      }
      self->timer_.cancel();
      self->handler_->on_open(*self);
      while (!self->closed()) co_await self->read();
    } catch (const std::exception&) {
      // A malformed header from the configuration, or no memory.
      self->down(unavailable(Failure::other, "no WebSocket connection: an internal error"));
    }
  }

  /// Sets open_, or returns why it cannot.
  Task<Response> open() {
    const bool proxied = !target_.proxy.empty();
    Url hop = target_.url;
    if (proxied) {
      auto proxy = parse_http_proxy(target_.proxy);
      if (!proxy.ok()) co_return unavailable(Failure::proxy, proxy.status().message());
      hop = *std::move(proxy);
    }
    std::vector<tcp::endpoint> addresses;
    Response why = co_await resolve(hop, addresses);
    if (why.failure != Failure::none) {
      if (proxied && why.failure == Failure::name_unresolved)
        co_return unavailable(Failure::proxy, "the proxy's host name does not resolve");
      co_return why;
    }
    why = co_await connect(addresses);
    if (why.failure != Failure::none) {
      if (proxied) co_return unavailable(Failure::proxy, "no connection to the proxy");
      co_return why;
    }
    if (proxied) {
      why = co_await pass_proxy(hop);
      if (why.failure != Failure::none) co_return why;
    }
    if (closed()) co_return why;
    if (target_.url.tls()) {
      why = co_await start_tls();
      if (why.failure != Failure::none || closed()) co_return why;
    } else {
      ws_.emplace(std::in_place_type<Plain>, std::move(*tcp_));
      tcp_.reset();
    }
    why = co_await upgrade();
    co_return why;
  }

  Task<Response> resolve(const Url& hop, std::vector<tcp::endpoint>& out) {
    ErrorCode ec;
    const auto address = asio::ip::make_address(hop.host, ec);
    if (!ec) {
      out.emplace_back(address, hop.port);
      co_return Response{};
    }
    const std::string port = absl::StrCat(hop.port);
    const auto found = co_await resolver_.async_resolve(hop.host, port, into(ec));
    if (ec) co_return unavailable(Failure::name_unresolved, "host name does not resolve");
    for (const auto& entry : found) {
      if (out.size() < kMaxAddresses) out.push_back(entry.endpoint());
    }
    co_return Response{};
  }

  Task<Response> connect(const std::vector<tcp::endpoint>& addresses) {
    ErrorCode ec = asio::error::host_not_found;
    for (const auto& address : addresses) {
      if (closed()) break;
      tcp_.emplace(io_);
      tcp_->expires_after(kConnect);
      co_await tcp_->async_connect(address, into(ec));
      if (!ec) break;
    }
    if (ec == beast::error::timeout || ec == asio::error::timed_out) co_return timed_out(absl::FromChrono(kConnect));
    if (ec) co_return unavailable(Failure::refused, "connection refused");
    tcp_->expires_never();
    tcp_->socket().set_option(tcp::no_delay{true}, ec);
    co_return Response{};
  }

  Task<Response> pass_proxy(const Url& proxy) {
    ErrorCode ec;
    beast::http::request<beast::http::empty_body> ask{beast::http::verb::connect, target_.url.authority(), 11};
    ask.set(beast::http::field::host, target_.url.authority());
    if (!proxy.user.empty() || !proxy.password.empty())
      ask.set(beast::http::field::proxy_authorization, basic(proxy.user, proxy.password));
    co_await beast::http::async_write(*tcp_, ask, into(ec));
    beast::flat_buffer buffer;
    beast::http::response_parser<beast::http::empty_body> answer;
    answer.skip(true);
    if (!ec) co_await beast::http::async_read_header(*tcp_, buffer, answer, into(ec));
    if (ec) co_return unavailable(Failure::proxy, "the proxy gave no HTTP answer to CONNECT");
    const unsigned status = answer.get().result_int();
    if (status / 100 != 2) co_return refused_by_proxy(status);
    if (buffer.size() != 0) co_return unavailable(Failure::proxy, "the proxy says more than its answer to CONNECT");
    co_return Response{};
  }

  Task<Response> start_tls() {
    tls_.emplace(asio::ssl::context::tls_client);
    SSL_CTX_set_min_proto_version(tls_->native_handle(), TLS1_2_VERSION);
    ErrorCode ec;
    if (target_.ca_file.empty()) {
      tls_->set_default_verify_paths(ec);
    } else {
      tls_->load_verify_file(target_.ca_file, ec);
    }
    if (ec) co_return bad_ca_file();
    ws_.emplace(std::in_place_type<Tls>, std::move(*tcp_), *tls_);
    tcp_.reset();
    auto& stream = std::get<Tls>(*ws_).next_layer();
    SSL* const ssl = stream.native_handle();
    stream.set_verify_mode(asio::ssl::verify_peer);
    const std::string& host = target_.url.host;
    const bool named = is_ip(host) ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1
                                   : SSL_set1_host(ssl, host.c_str()) == 1 && set_sni(ssl, host);
    if (!named) co_return unavailable(Failure::tls, "no TLS connection: not a host name");
    co_await stream.async_handshake(asio::ssl::stream_base::client, into(ec));
    if (!ec) co_return Response{};
    const long verified = SSL_get_verify_result(ssl);
    if (verified != X509_V_OK) co_return unavailable(Failure::tls, why_unverified(verified));
    co_return no_tls();
  }

  Task<Response> upgrade() {
    websocket::stream_base::timeout limits{};
    limits.handshake_timeout = kOpen;
    limits.idle_timeout = kSilence;
    limits.keep_alive_pings = true;
    const auto headers = [this](websocket::request_type& request) {
      const Url& url = target_.url;
      if (!url.user.empty() || !url.password.empty())
        request.set(beast::http::field::authorization, basic(url.user, url.password));
      for (const auto& h : target_.headers) {
        const auto colon = h.find(':');
        if (colon == std::string::npos) continue;
        request.set(h.substr(0, colon), std::string{absl::StripAsciiWhitespace(h.substr(colon + 1))});
      }
    };
    std::visit(
        [&](auto& ws) {
          ws.set_option(limits);
          ws.set_option(websocket::stream_base::decorator{headers});
          ws.read_message_max(0);  // read() counts itself, to end the connection without waiting for its peer
        },
        *ws_);
    const std::string host = host_header(target_.url);
    websocket::response_type answer;
    ErrorCode ec;
    co_await std::visit(
        [&](auto& ws) { return ws.async_handshake(answer, host, target_.url.path_and_query, into(ec)); }, *ws_);
    open_ = !ec && !closed();
    if (!ec) co_return Response{};
    if (ec == websocket::error::upgrade_declined && answer.result_int() / 100 != 2) {
      Response refused;
      refused.status = answer.result_int();
      refused.body = std::move(answer.body());
      for (const auto& field : answer) {
        read_header({field.name_string().data(), field.name_string().size()},
                    {field.value().data(), field.value().size()}, refused);
      }
      co_return refused;
    }
    if (ec == asio::error::eof || ec == asio::error::connection_reset || ec == beast::http::error::end_of_stream ||
        ec == asio::ssl::error::stream_truncated)
      co_return unavailable(Failure::lost, "connection lost during the upgrade to WebSocket");
    co_return unavailable(Failure::other, "no WebSocket at this URL: try it with http:// or https://");
  }

  Task<void> read() {
    std::string message;
    ErrorCode ec;
    bool whole = false;
    while (!whole) {
      const std::size_t n =
          co_await std::visit([&](auto& ws) { return ws.async_read_some(asio::buffer(chunk_), into(ec)); }, *ws_);
      if (closed()) co_return;
      if (ec) {
        down(connection_lost());
        co_return;
      }
      if (message.size() + n > max_message_) {
        down(too_large(max_message_));
        co_return;
      }
      message.append(chunk_.data(), n);
      whole = std::visit([](auto& ws) { return ws.is_message_done(); }, *ws_);
    }
    handler_->on_message(*this, std::move(message));
  }

  static Task<void> write(std::shared_ptr<Connection> self, std::string message) {
    ErrorCode ec;
    co_await std::visit([&](auto& ws) { return ws.async_write(asio::buffer(message), into(ec)); }, *self->ws_);
    self->sending_ = false;
    if (ec) self->down(connection_lost());
  }

  asio::io_context& io_;
  const WsTarget target_;
  /// Null once the connection is closed.
  Handler* handler_;
  tcp::resolver resolver_;
  asio::steady_timer timer_;
  /// The socket, before it becomes a part of ws_.
  std::optional<beast::tcp_stream> tcp_;
  std::optional<asio::ssl::context> tls_;
  std::optional<std::variant<Plain, Tls>> ws_;
  std::array<char, kChunk> chunk_{};
  std::size_t max_message_ = kUnasked;
  bool open_ = false;
  bool sending_ = false;
};

}  // namespace

std::shared_ptr<WsConnection> open_websocket(asio::io_context& io, WsTarget target, WsConnection::Handler& handler) {
  auto connection = std::make_shared<Connection>(io, std::move(target), handler);
  connection->start();
  return connection;
}

}  // namespace towline::http
