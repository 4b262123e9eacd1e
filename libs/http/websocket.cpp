#include "libs/http/websocket.hpp"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "libs/base/steady_time.hpp"
#include "libs/http/asio_timer.hpp"
#include "libs/http/ws_server.hpp"
#include "libs/http/ws_subscription.hpp"

namespace towline::http {
namespace {

namespace asio = boost::asio;

/// How often idle connections are looked for.
constexpr absl::Duration kReap = absl::Seconds(1);

absl::StatusOr<WsTarget> target_of(const Request& r) {
  auto url = parse_url(r.url);
  if (!url.ok()) return url.status();
  WsTarget t;
  t.proxy = proxy_for(*url, r.proxy, process_environment());
  t.url = *std::move(url);
  t.headers = r.headers;
  t.ca_file = r.ca_file;
  return t;
}

}  // namespace

class WebSockets::Loop {
 public:
  explicit Loop(absl::Duration idle) : idle_{idle} {}

  void stop() {
    {
      const std::lock_guard lock{mutex_};
      if (stopped_) return;
      stopped_ = true;
      if (!thread_.joinable()) return;
      // The last function that is posted; io_ ends by itself after it.
      asio::post(io_, [this] {
        end_all();
        tick_.cancel();
        work_.reset();
      });
    }
    thread_.join();
  }

  /// Runs `f` on the thread. False: the thread was stopped, and `f` never runs.
  bool run(std::function<void()> f) {
    const std::lock_guard lock{mutex_};
    if (stopped_) return false;
    if (!thread_.joinable()) thread_ = std::thread{[this] { io_.run(); }};
    asio::post(io_, std::move(f));
    return true;
  }
  bool used() {
    const std::lock_guard lock{mutex_};
    return thread_.joinable();
  }

  void post(std::uint64_t id, Request request, std::function<void(Response)> done) {
    auto job = std::make_shared<WsJob>();
    job->id = id;
    job->request = std::move(request);
    job->done = std::move(done);
    job->started = steady_now();
    if (!run([this, job] { start(job); })) job->done(cancelled("shutting down"));
  }

  void subscribe(std::uint64_t id, const Request& request, const std::function<void(Push)>& tell) {
    run([this, id, request, tell] {
      if (cancelled_) return;
      auto target = target_of(request);
      if (!target.ok() || !target->url.websocket()) {
        tell({Push::Kind::down, unavailable(Failure::other, "not a ws:// or wss:// URL")});
        return;
      }
      auto s = std::make_unique<WsSubscription>(io_, *std::move(target), request.timeout, tell);
      s->start();
      subscriptions_.emplace(id, std::move(s));
    });
  }

  void cancel(std::uint64_t id) {
    if (!used()) return;
    run([this, id] {
      subscriptions_.erase(id);
      end(id, cancelled("cancelled"));
    });
  }
  void cancel_all() {
    run([this] { end_all(); });
  }

 private:
  struct Running {
    std::shared_ptr<WsJob> job;
    std::string server;
  };

  void start(const std::shared_ptr<WsJob>& job) {
    if (cancelled_) return finish(*job, cancelled("shutting down"));
    auto target = target_of(job->request);
    if (!target.ok()) return finish(*job, unavailable(Failure::other, target.status().message()));
    const std::string key = absl::StrCat(job->request.url, "\n", absl::StrJoin(job->request.headers, "\n"), "\n\n",
                                         target->ca_file, "\n", target->proxy);
    running_[job->id] = {job, key};
    job->deadline = std::make_unique<asio::steady_timer>(io_);
    call_after(*job->deadline, job->started + job->request.timeout - steady_now(),
               [this, id = job->id, timeout = job->request.timeout] { end(id, timed_out(timeout)); });
    auto& server = servers_[key];
    if (!server)
      server = std::make_unique<WsServer>(io_, *std::move(target), WsServer::Limits{kMaxConnections, kMaxWaiting},
                                          [this](WsJob& j, Response r) { finish(j, std::move(r)); });
    server->add(job);
    if (!ticking_) tick();
  }

  /// Ends a request without an answer.
  void end(std::uint64_t id, Response why) {
    const auto it = running_.find(id);
    if (it == running_.end()) return;
    const auto job = it->second.job;
    const auto server = servers_.find(it->second.server);
    finish(*job, std::move(why));
    server->second->forget(id);
  }

  void end_all() {
    cancelled_ = true;
    subscriptions_.clear();
    while (!running_.empty()) end(running_.begin()->first, cancelled("shutting down"));
    servers_.clear();
  }

  void finish(WsJob& job, Response r) {
    if (job.deadline) job.deadline->cancel();
    running_.erase(job.id);
    r.elapsed = steady_now() - job.started;
    job.done(std::move(r));
  }

  void tick() {
    for (auto it = servers_.begin(); it != servers_.end();) {
      it->second->reap(steady_now(), idle_);
      it = it->second->empty() ? servers_.erase(it) : std::next(it);
    }
    ticking_ = !servers_.empty();
    if (ticking_) call_after(tick_, std::min(kReap, idle_), [this] { tick(); });
  }

  const absl::Duration idle_;
  std::mutex mutex_;
  bool stopped_ = false;
  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  asio::steady_timer tick_{io_};
  // Used by the thread only.
  bool ticking_ = false;
  bool cancelled_ = false;
  std::map<std::uint64_t, Running> running_;
  std::unordered_map<std::string, std::unique_ptr<WsServer>> servers_;
  std::unordered_map<std::uint64_t, std::unique_ptr<WsSubscription>> subscriptions_;
  std::thread thread_;
};

WebSockets::WebSockets(absl::Duration idle) : loop_{std::make_unique<Loop>(idle)} {}
WebSockets::~WebSockets() { stop(); }
void WebSockets::post(std::uint64_t id, Request request, std::function<void(Response)> done) {
  loop_->post(id, std::move(request), std::move(done));
}
void WebSockets::subscribe_heads(std::uint64_t id, Request request, std::function<void(Push)> tell) {
  loop_->subscribe(id, request, tell);
}
void WebSockets::cancel(std::uint64_t id) { loop_->cancel(id); }
void WebSockets::cancel_all() { loop_->cancel_all(); }
void WebSockets::ask_turn(std::function<void()> turn) {
  if (!loop_->used() || !loop_->run(turn)) turn();
}
void WebSockets::stop() { loop_->stop(); }

}  // namespace towline::http
