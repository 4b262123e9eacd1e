#include "libs/telemetry/status_server.hpp"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <httplib.h>

#include <nlohmann/json.hpp>
#include <thread>

namespace towline {

struct StatusServer::Impl {
  httplib::Server http;
  std::thread thread;
  int port = 0;
};

StatusServer::StatusServer() : impl_{std::make_unique<Impl>()} {}

StatusServer::~StatusServer() {
  impl_->http.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
}

int StatusServer::port() const { return impl_->port; }

absl::StatusOr<std::unique_ptr<StatusServer>> StatusServer::start(const std::string& addr, const Metrics& metrics,
                                                                  std::function<Readiness()> ready) {
  const auto colon = addr.rfind(':');
  int port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(addr.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("\"", addr, "\" is not host:port"));
  }
  const std::string host = addr.substr(0, colon);
  std::unique_ptr<StatusServer> s{new StatusServer};
  auto& http = s->impl_->http;
  http.new_task_queue = [] { return new httplib::ThreadPool{2}; };
  http.set_read_timeout(5, 0);
  http.set_keep_alive_timeout(2);
  http.set_socket_options([](socket_t sock) {
    // Not SO_REUSEPORT, the library's default: two processes on one port would share its requests.
    int yes = 1;
    setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  http.Get("/metrics", [&metrics](const httplib::Request&, httplib::Response& res) {
    res.set_content(metrics.text(), "text/plain; version=0.0.4");
  });
  http.Get("/livez", [](const httplib::Request&, httplib::Response& res) { res.set_content("ok\n", "text/plain"); });
  http.Get("/readyz", [ready = std::move(ready)](const httplib::Request&, httplib::Response& res) {
    const Readiness r = ready();
    nlohmann::json doc = {{"ready", r.ready}, {"code", r.code}, {"reason", r.reason}};
    for (const auto& [k, v] : r.details) doc[k] = v;
    res.status = r.ready ? 200 : 503;
    res.set_content(doc.dump() + "\n", "application/json");
  });
  if (port == 0) {
    s->impl_->port = http.bind_to_any_port(host);
    if (s->impl_->port <= 0) return absl::UnavailableError(absl::StrCat("cannot listen on ", addr));
  } else {
    if (!http.bind_to_port(host, port)) {
      return absl::UnavailableError(
          absl::StrCat("cannot listen on ", addr, ": ", std::strerror(errno), "; is another process using it?"));
    }
    s->impl_->port = port;
  }
  s->impl_->thread = std::thread{[&http] { http.listen_after_bind(); }};
  // A stop() before the loop runs would be lost, and the destructor would wait for ever.
  while (!http.is_running()) std::this_thread::yield();
  return s;
}

}  // namespace towline
