#include "libs/telemetry/status_server.hpp"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core/flat_static_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <iterator>
#include <list>
#include <nlohmann/json.hpp>
#include <thread>

namespace towline {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t kMaxHeaderBytes = 8192;
constexpr std::ptrdiff_t kMaxHeaderLines = 64;
// For the answers that take time, /readyz and /metrics: how many are made at once, and how many wait.
constexpr std::size_t kSlowThreads = 2;
constexpr int kMaxSlowAnswers = 16;

struct Answer {
  http::status status = http::status::ok;
  std::string type = "text/plain";
  std::string body;
};

class Connection;

/// Everything belongs to the server's own thread, except `metrics` and `ready`, which the slow threads call.
struct Server {
  Server(const Metrics& m, std::function<Readiness()> r, std::function<std::string()> h, StatusServer::Options o)
      : metrics{m}, ready{std::move(r)}, hung{std::move(h)}, options{o} {}

  void accept();

  const Metrics& metrics;
  const std::function<Readiness()> ready;
  const std::function<std::string()> hung;
  const StatusServer::Options options;
  asio::io_context io{1};
  tcp::acceptor acceptor{io};
  asio::steady_timer pause{io};
  std::list<std::weak_ptr<Connection>> connections;  // oldest first
  int slow_answers = 0;
  asio::thread_pool slow{kSlowThreads};
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Server& server, tcp::socket socket) : server_{server}, stream_{std::move(socket)} {
    parser_.header_limit(kMaxHeaderBytes);
    parser_.body_limit(0);
  }

  void start() {
    // One limit for the whole connection.
    stream_.expires_after(server_.options.request_time);
    http::async_read_header(stream_, buffer_, parser_,
                            [self = shared_from_this()](error_code ec, std::size_t) { self->on_header(ec); });
  }

  void close() {
    error_code ignored;
    stream_.socket().close(ignored);
  }

 private:
  void on_header(error_code ec) {
    if (ec == http::error::body_limit) return refuse({http::status::payload_too_large, "text/plain", "no body\n"});
    if (ec == http::error::header_limit || ec == http::error::buffer_overflow) return refuse_header();
    // The client went away, or its time is up.
    if (ec == http::error::end_of_stream || ec == http::error::partial_message || ec == beast::error::timeout) return;
    if (ec.category() == http::make_error_code(http::error::bad_version).category())
      return refuse({http::status::bad_request, "text/plain", "not HTTP\n"});
    if (ec) return;
    const auto& request = parser_.get();
    head_ = request.method() == http::verb::head;
    if (!head_ && request.method() != http::verb::get)
      return refuse({http::status::method_not_allowed, "text/plain", "GET only\n"});
    if (parser_.chunked()) return refuse({http::status::payload_too_large, "text/plain", "no body\n"});
    if (std::distance(request.begin(), request.end()) > kMaxHeaderLines) return refuse_header();
    const auto path = request.target().substr(0, request.target().find('?'));
    if (path == "/livez") {
      const std::string why = server_.hung();
      if (why.empty()) return answer({http::status::ok, "text/plain", "ok\n"});
      return answer({http::status::service_unavailable, "text/plain", why + "\n"});
    }
    if (path == "/metrics") return answer_slowly(&Connection::metrics);
    if (path == "/readyz") return answer_slowly(&Connection::readiness);
    answer({http::status::not_found, "text/plain", "/metrics, /livez or /readyz\n"});
  }

  static Answer metrics(const Server& s) { return {http::status::ok, "text/plain; version=0.0.4", s.metrics.text()}; }

  static Answer readiness(const Server& s) {
    const Readiness r = s.ready();
    nlohmann::json doc = {{"ready", r.ready}, {"code", r.code}, {"reason", r.reason}};
    for (const auto& [k, v] : r.details) doc[k] = v;
    return {r.ready ? http::status::ok : http::status::service_unavailable, "application/json",
            doc.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n"};
  }

  void answer_slowly(Answer (*make)(const Server&)) {
    if (server_.slow_answers == kMaxSlowAnswers)
      return answer({http::status::service_unavailable, "text/plain", "too many requests wait\n"});
    ++server_.slow_answers;
    asio::post(server_.slow, [self = shared_from_this(), make]() mutable {
      Answer a = make(self->server_);
      asio::io_context& io = self->server_.io;
      // The last reference to a connection must be released on the server's own thread.
      asio::post(io, [self = std::move(self), a = std::move(a)]() mutable {
        --self->server_.slow_answers;
        self->answer(std::move(a));
      });
    });
  }

  void refuse_header() {
    refuse({http::status::request_header_fields_too_large, "text/plain", "8 KiB and 64 header lines at most\n"});
  }

  /// Answers a client that may still be sending. Closing a socket with unread bytes would discard the answer, so
  /// further bytes are read and dropped until the client has the answer, or its time is up.
  void refuse(Answer a) {
    discard_ = true;
    answer(std::move(a));
  }

  void answer(Answer a) {
    response_.version(11);
    response_.result(a.status);
    response_.set(http::field::content_type, a.type);
    if (a.status == http::status::method_not_allowed) response_.set(http::field::allow, "GET, HEAD");
    response_.keep_alive(false);
    response_.body() = std::move(a.body);
    response_.prepare_payload();
    if (head_) response_.body().clear();
    http::async_write(stream_, response_, [self = shared_from_this()](error_code ec, std::size_t) {
      error_code ignored;
      self->stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
      if (!ec && self->discard_) self->discard();
    });
  }

  void discard() {
    buffer_.clear();
    stream_.async_read_some(buffer_.prepare(kMaxHeaderBytes), [self = shared_from_this()](error_code ec, std::size_t) {
      if (!ec) self->discard();
    });
  }

  Server& server_;
  beast::tcp_stream stream_;
  beast::flat_static_buffer<kMaxHeaderBytes> buffer_;
  http::request_parser<http::empty_body> parser_;
  http::response<http::string_body> response_;
  bool head_ = false;
  bool discard_ = false;
};

void Server::accept() {
  acceptor.async_accept([this](error_code ec, tcp::socket socket) {
    if (ec == asio::error::operation_aborted) return;
    if (ec) {
      // For example no free descriptors: an immediate retry would fail, too.
      pause.expires_after(std::chrono::milliseconds{100});
      pause.async_wait([this](error_code stopped) {
        if (!stopped) accept();
      });
      return;
    }
    connections.remove_if([](const auto& c) { return c.expired(); });
    if (connections.size() >= options.max_connections) {
      if (const auto oldest = connections.front().lock()) oldest->close();
      connections.pop_front();
    }
    const auto connection = std::make_shared<Connection>(*this, std::move(socket));
    connections.push_back(connection);
    connection->start();
    accept();
  });
}

absl::Status listen(Server& s, const std::string& addr) {
  const auto colon = addr.rfind(':');
  int port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(addr.substr(colon + 1), &port) || port < 0 || port > 65535)
    return absl::InvalidArgumentError(absl::StrCat("\"", addr, "\" is not host:port"));
  std::string host = addr.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  error_code ec;
  const auto found = tcp::resolver{s.io}.resolve(host, std::to_string(port), tcp::resolver::passive, ec);
  if (ec || found.empty()) return absl::UnavailableError(absl::StrCat("cannot listen on ", addr, ": ", ec.message()));
  const tcp::endpoint at = found.begin()->endpoint();
  s.acceptor.open(at.protocol(), ec);
  // Not SO_REUSEPORT, with which two processes on one port would share its requests.
  if (!ec) s.acceptor.set_option(asio::socket_base::reuse_address{true}, ec);
  if (!ec) s.acceptor.bind(at, ec);
  if (!ec) s.acceptor.listen(asio::socket_base::max_listen_connections, ec);
  if (ec)
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", addr, ": ", ec.message(), "; is another process using it?"));
  return absl::OkStatus();
}

}  // namespace

struct StatusServer::Impl : Server {
  using Server::Server;
  std::thread thread;
};

StatusServer::StatusServer() = default;

StatusServer::~StatusServer() {
  if (!impl_ || !impl_->thread.joinable()) return;
  impl_->io.stop();
  impl_->thread.join();
  impl_->slow.join();
}

void StatusServer::ask_turn(std::function<void()> turn) { asio::post(impl_->io, std::move(turn)); }

int StatusServer::port() const { return impl_->acceptor.local_endpoint().port(); }

absl::StatusOr<std::unique_ptr<StatusServer>> StatusServer::start(const std::string& addr, const Metrics& metrics,
                                                                  std::function<Readiness()> ready,
                                                                  std::function<std::string()> hung, Options options) {
  std::unique_ptr<StatusServer> s{new StatusServer};
  s->impl_ = std::make_unique<Impl>(metrics, std::move(ready), std::move(hung), options);
  if (auto st = listen(*s->impl_, addr); !st.ok()) return st;
  s->impl_->accept();
  s->impl_->thread = std::thread{[impl = s->impl_.get()] { impl->io.run(); }};
  return s;
}

}  // namespace towline
