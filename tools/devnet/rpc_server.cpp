#include "tools/devnet/rpc_server.hpp"

#include <absl/strings/str_cat.h>
#include <httplib.h>

#include <atomic>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

namespace towline::devnet {
namespace {

constexpr std::size_t kOversized = 256U << 20U;

std::string answer_one(simdjson::dom::element call, const RpcServer::Handler& handler, bool& left_out) {
  simdjson::dom::element id;
  simdjson::dom::element params;
  std::string_view method;
  const std::string id_text = call["id"].get(id) == simdjson::SUCCESS ? simdjson::minify(id) : "null";
  if (call["method"].get(method) != simdjson::SUCCESS) {
    return absl::StrCat(R"({"jsonrpc":"2.0","id":)", id_text,
                        R"(,"error":{"code":-32600,"message":"invalid request"}})");
  }
  if (call["params"].get(params) != simdjson::SUCCESS) params = {};
  Reply r = handler(method, params);
  left_out = r.left_out;
  if (r.code != 0) {
    return absl::StrCat(R"({"jsonrpc":"2.0","id":)", id_text, R"(,"error":{"code":)", r.code, R"(,"message":)",
                        json_string(r.json), "}}");
  }
  return absl::StrCat(R"({"jsonrpc":"2.0","id":)", id_text, R"(,"result":)", r.json, "}");
}

std::string answer(const std::string& body, const RpcServer::Handler& handler, std::size_t& calls) {
  simdjson::dom::parser parser;
  simdjson::dom::element doc;
  if (parser.parse(body).get(doc) != simdjson::SUCCESS) {
    return R"({"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}})";
  }
  bool left_out = false;
  if (!doc.is_array()) {
    calls = 1;
    return answer_one(doc, handler, left_out);
  }
  std::string out = "[";
  for (simdjson::dom::element call : simdjson::dom::array{doc}) {
    ++calls;
    left_out = false;
    std::string one = answer_one(call, handler, left_out);
    if (!left_out) absl::StrAppend(&out, out.size() > 1 ? "," : "", one);
  }
  return out + "]";
}

}  // namespace

std::string json_string(const std::string& s) {
  return nlohmann::json(s).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string_view text_param(simdjson::dom::element params, std::size_t i) {
  std::string_view s;
  if (!params.is_array() || simdjson::dom::array{params}.at(i).get(s) != simdjson::SUCCESS) return {};
  return s;
}

struct RpcServer::Impl {
  httplib::Server http;
  std::thread thread;
  std::string host;
  int port = 0;
  std::atomic<std::uint64_t> count{0};
};

RpcServer::RpcServer() : impl_{std::make_unique<Impl>()} {}

RpcServer::~RpcServer() {
  impl_->http.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
}

int RpcServer::port() const { return impl_->port; }
std::string RpcServer::url() const { return absl::StrCat("http://", impl_->host, ":", impl_->port); }

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::start(const std::string& host, int port, World& world,
                                                            NodeState& state, Handler handler, Gate gate) {
  std::unique_ptr<RpcServer> s{new RpcServer};
  Impl& impl = *s->impl_;
  // A kept connection holds a thread.
  impl.http.new_task_queue = [] { return new httplib::ThreadPool{48}; };
  impl.http.set_keep_alive_max_count(1'000'000);
  impl.http.set_keep_alive_timeout(2);
  impl.http.set_tcp_nodelay(true);
  impl.http.set_payload_max_length(256U << 20U);
  impl.http.set_socket_options([](socket_t sock) {
    int yes = 1;
    setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  impl.http.Post(".*", [&impl, &world, &state, handler = std::move(handler), gate = std::move(gate)](
                           const httplib::Request& req, httplib::Response& res) {
    Fault fault;
    {
      std::unique_lock lock{world.mutex};
      ++state.requests;
      world.changed.wait(lock, [&] { return world.stopping || !state.fault.hang; });
      fault = state.fault;
      if (world.stopping) {
        res.status = 503;
        return;
      }
    }
    if (fault.delay_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds{fault.delay_ms});
    if (gate) {
      if (std::string refused = gate(req.get_header_value("Authorization")); !refused.empty()) {
        res.status = 401;
        res.set_content(refused + "\n", "text/plain");
        return;
      }
    }
    if (fault.rate_limit) {
      res.status = 429;
      res.set_header("Retry-After", std::to_string(fault.retry_after_s));
      res.set_content("too many requests\n", "text/plain");
      return;
    }
    // Spread evenly instead of drawn: a rate of 0.25 fails each fourth request.
    const std::uint64_t n = impl.count++;
    if (fault.error_rate > 0 && static_cast<std::uint64_t>(static_cast<double>(n + 1) * fault.error_rate) >
                                    static_cast<std::uint64_t>(static_cast<double>(n) * fault.error_rate)) {
      res.status = 500;
      res.set_content("internal error\n", "text/plain");
      return;
    }
    if (fault.html) {
      res.set_content("<html><body><h1>Bad Gateway</h1></body></html>\n", "text/html");
      return;
    }
    if (fault.disconnect) {
      res.set_content_provider(1000, "application/json",
                               [](std::size_t, std::size_t, httplib::DataSink&) { return false; });
      return;
    }
    if (fault.oversized) {
      res.set_content_provider(kOversized, "application/json",
                               [](std::size_t, std::size_t length, httplib::DataSink& sink) {
                                 static const std::string blanks(1U << 20U, ' ');
                                 return sink.write(blanks.data(), std::min(length, blanks.size()));
                               });
      return;
    }
    std::size_t calls = 0;
    std::string out = answer(req.body, handler, calls);
    {
      const std::lock_guard lock{world.mutex};
      state.calls += calls;
    }
    // The HTTP library does not compress a type with a charset: compression would cost more than everything else here.
    res.set_content(std::move(out), "application/json; charset=utf-8");
  });
  impl.host = host;
  if (port == 0) {
    impl.port = impl.http.bind_to_any_port(host);
  } else {
    impl.port = impl.http.bind_to_port(host, port) ? port : -1;
  }
  if (impl.port <= 0) return absl::UnavailableError(absl::StrCat("cannot listen on ", host, ":", port));
  impl.thread = std::thread{[&impl] { impl.http.listen_after_bind(); }};
  // A stop() before the loop runs would be lost, and the destructor would hang.
  while (!impl.http.is_running()) std::this_thread::yield();
  return s;
}

}  // namespace towline::devnet
