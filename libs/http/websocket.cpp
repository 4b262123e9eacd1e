#include "libs/http/websocket.hpp"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <simdjson.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <map>
#include <mutex>
#include <random>
#include <thread>
#include <unordered_map>
#include <vector>

#include "libs/base/steady_time.hpp"
#include "libs/http/push_backoff.hpp"
#include "libs/http/ws_connection.hpp"

namespace towline::http {
namespace {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;

constexpr absl::Duration kReap = absl::Seconds(1);
/// How long no further connection is opened beside those that work, after the server has refused one.
constexpr absl::Duration kPause = absl::Seconds(10);
/// A larger message is no notification that we would know.
constexpr std::size_t kMaxNotification = 1U << 20U;
constexpr absl::Duration kTellEach = absl::Milliseconds(100);
constexpr const char* kSubscribe = R"({"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]})";

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

enum class Message { answer, error, notification };

Message kind_of(const std::string& text) {
  if (text.size() > kMaxNotification) return Message::answer;
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  simdjson::dom::element ignored;
  if (parser.parse(text).get(object) != simdjson::SUCCESS) return Message::answer;
  if (object["method"].get(ignored) == simdjson::SUCCESS) return Message::notification;
  return object["result"].get(ignored) == simdjson::SUCCESS ? Message::answer : Message::error;
}

void after(asio::steady_timer& timer, absl::Duration wait, std::function<void()> f) {
  timer.expires_after(absl::ToChronoNanoseconds(wait));
  timer.async_wait([f = std::move(f)](ErrorCode ec) {
    if (!ec) f();
  });
}

struct Job {
  std::uint64_t id = 0;
  Request request;
  std::function<void(Response)> done;
  absl::Time started;
  std::unique_ptr<asio::steady_timer> deadline;
  bool again = false;
};

/// One server as one caller sees it: what differs in a header or in the CA file is another.
class Server final : private WsConnection::Handler {
 public:
  using Finish = std::function<void(Job&, Response)>;

  Server(asio::io_context& io, WsTarget target, Finish finish)
      : io_{io}, target_{std::move(target)}, finish_{std::move(finish)} {}
  ~Server() override {
    for (auto& l : lines_) l.connection->close();
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void add(std::shared_ptr<Job> job) {
    if (waiting_.size() >= WebSockets::kMaxWaiting) {
      finish_(*job, unavailable(Failure::other, "too many requests wait for a connection to this server"));
      return;
    }
    waiting_.push_back(std::move(job));
    go_on();
  }

  /// The job is over, for another reason than its answer. Its connection is of no use to others: the answer may come
  /// yet.
  void forget(std::uint64_t id) {
    waiting_.erase(std::remove_if(waiting_.begin(), waiting_.end(), [&](const auto& j) { return j->id == id; }),
                   waiting_.end());
    for (auto& l : lines_) {
      if (l.job && l.job->id == id) {
        hang_up(*l.connection);
        break;
      }
    }
    go_on();
  }

  void reap(absl::Time now, absl::Duration idle) {
    std::vector<WsConnection*> old;
    for (auto& l : lines_) {
      if (l.open && !l.job && now - l.used >= idle) old.push_back(l.connection.get());
    }
    for (auto* c : old) hang_up(*c);
  }
  bool empty() const { return lines_.empty() && waiting_.empty(); }

 private:
  struct Line {
    std::shared_ptr<WsConnection> connection;
    std::shared_ptr<Job> job;
    bool open = false;
    bool served = false;
    absl::Time used;
    FloodGuard unasked;
  };

  Line* line_of(const WsConnection& c) {
    const auto it = std::find_if(lines_.begin(), lines_.end(), [&](const Line& l) { return l.connection.get() == &c; });
    return it == lines_.end() ? nullptr : &*it;
  }
  Line take_out(WsConnection& c) {
    Line* const l = line_of(c);
    Line out = std::move(*l);
    lines_.erase(lines_.begin() + (l - lines_.data()));
    return out;
  }
  void hang_up(WsConnection& c) { take_out(c).connection->close(); }

  /// Work for who is free, and connections for what waits.
  void go_on() {
    while (!waiting_.empty()) {
      Line* best = nullptr;
      for (auto& l : lines_) {
        // The one used last, so that those too many grow old.
        if (l.open && !l.job && (best == nullptr || l.used > best->used)) best = &l;
      }
      if (best == nullptr) break;
      best->job = std::move(waiting_.front());
      waiting_.pop_front();
      best->connection->send(best->job->request.body, best->job->request.max_response_bytes);
    }
    std::size_t opening = 0;
    for (const auto& l : lines_) opening += l.open ? 0 : 1;
    for (; waiting_.size() > opening && lines_.size() < WebSockets::kMaxConnections; ++opening) {
      if (!lines_.empty() && steady_now() < pause_) break;
      Line l;
      l.connection = open_websocket(io_, target_, *this);
      lines_.push_back(std::move(l));
    }
  }

  void on_open(WsConnection& c) override {
    Line& l = *line_of(c);
    l.open = true;
    l.used = steady_now();
    go_on();
  }

  void on_message(WsConnection& c, std::string message) override {
    Line& l = *line_of(c);
    if (kind_of(message) == Message::notification) {
      if (!l.unasked.admit(steady_now()))
        on_down(c, unavailable(Failure::other, "the server floods the connection with notifications"));
      return;
    }
    const auto job = std::exchange(l.job, nullptr);
    // An answer to nothing, or before the whole question: the connection is out of step.
    const bool in_step = job && !c.sending();
    l.served = true;
    l.used = steady_now();
    if (!in_step) hang_up(c);
    if (job) {
      Response r;
      r.status = 200;
      r.body = std::move(message);
      finish_(*job, std::move(r));
    }
    go_on();
  }

  void on_down(WsConnection& c, Response why) override {
    const Line gone = take_out(c);
    gone.connection->close();
    if (gone.job) {
      // It may have been closed while it was idle, and the news came too late.
      if (why.failure == Failure::lost && gone.served && !gone.job->again) {
        gone.job->again = true;
        waiting_.push_front(gone.job);
      } else {
        finish_(*gone.job, std::move(why));
      }
    } else if (!gone.open) {
      if (std::any_of(lines_.begin(), lines_.end(), [](const Line& l) { return l.open; })) {
        pause_ = steady_now() + kPause;
      } else {
        const auto all = std::exchange(waiting_, {});
        for (const auto& job : all) finish_(*job, why);
      }
    }
    go_on();
  }

  asio::io_context& io_;
  const WsTarget target_;
  const Finish finish_;
  std::deque<std::shared_ptr<Job>> waiting_;
  std::vector<Line> lines_;
  absl::Time pause_ = absl::InfinitePast();
};

class Subscription final : private WsConnection::Handler {
 public:
  Subscription(asio::io_context& io, WsTarget target, absl::Duration timeout, std::function<void(Push)> tell)
      : io_{io}, target_{std::move(target)}, timeout_{timeout}, tell_{std::move(tell)}, attempt_{io}, news_{io} {}
  ~Subscription() override {
    if (connection_) connection_->close();
  }
  Subscription(const Subscription&) = delete;
  Subscription& operator=(const Subscription&) = delete;

  void start() {
    connection_ = open_websocket(io_, target_, *this);
    after(attempt_, timeout_, guarded([this] { end(timed_out(timeout_), false); }));
  }

 private:
  /// Timers may have expired when this is gone.
  std::function<void()> guarded(std::function<void()> f) {
    return [alive = std::weak_ptr<bool>{alive_}, f = std::move(f)] {
      if (!alive.expired()) f();
    };
  }

  void on_open(WsConnection& c) override { c.send(kSubscribe, kMaxNotification); }

  void on_message(WsConnection&, std::string message) override {
    if (!flood_.admit(steady_now())) {
      end(unavailable(Failure::other, "the server floods the subscription"), false);
      return;
    }
    const Message kind = kind_of(message);
    if (kind == Message::notification) {
      if (live_) news();
    } else if (kind == Message::error) {
      end(unavailable(Failure::other, "the server refuses the subscription to newHeads"), true);
    } else if (!live_) {
      live_ = true;
      attempt_.cancel();
      backoff_.on_live(steady_now());
      tell_({Push::Kind::live, {}});
    }
  }

  void on_down(WsConnection&, Response why) override {
    // A status: the upgrade was refused.
    const bool refused = why.status != 0 && why.status < 500 && why.status != 429;
    end(std::move(why), refused);
  }

  void news() {
    if (told_soon_) return;
    told_soon_ = true;
    const absl::Duration wait = std::clamp(told_ + kTellEach - steady_now(), absl::ZeroDuration(), kTellEach);
    after(news_, wait, guarded([this] {
            told_soon_ = false;
            told_ = steady_now();
            if (live_) tell_({Push::Kind::head, {}});
          }));
  }

  void end(Response why, bool refused) {
    live_ = false;
    if (connection_) connection_->close();
    connection_.reset();
    const absl::Duration wait = backoff_.on_end(steady_now(), refused, why.retry_after, spread_(random_));
    after(attempt_, wait, guarded([this] { start(); }));
    tell_({Push::Kind::down, std::move(why)});
  }

  asio::io_context& io_;
  const WsTarget target_;
  const absl::Duration timeout_;
  const std::function<void(Push)> tell_;
  std::shared_ptr<WsConnection> connection_;
  /// Until it is live, and until the next attempt.
  asio::steady_timer attempt_;
  asio::steady_timer news_;
  bool live_ = false;
  bool told_soon_ = false;
  absl::Time told_ = absl::InfinitePast();
  PushBackoff backoff_;
  FloodGuard flood_;
  std::mt19937_64 random_{std::random_device{}()};
  std::uniform_real_distribution<> spread_{0, 1};
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

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
      // The last that is posted; what is left to do after it ends by itself.
      asio::post(io_, [this] {
        end_all();
        tick_.cancel();
        work_.reset();
      });
    }
    thread_.join();
  }

  /// False: it is stopped, and `f` never runs.
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
    auto job = std::make_shared<Job>();
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
      auto s = std::make_unique<Subscription>(io_, *std::move(target), request.timeout, tell);
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
    std::shared_ptr<Job> job;
    std::string server;
  };

  void start(const std::shared_ptr<Job>& job) {
    if (cancelled_) return finish(*job, cancelled("shutting down"));
    auto target = target_of(job->request);
    if (!target.ok()) return finish(*job, unavailable(Failure::other, target.status().message()));
    const std::string key = absl::StrCat(job->request.url, "\n", absl::StrJoin(job->request.headers, "\n"), "\n\n",
                                         target->ca_file, "\n", target->proxy);
    running_[job->id] = {job, key};
    job->deadline = std::make_unique<asio::steady_timer>(io_);
    after(*job->deadline, job->started + job->request.timeout - steady_now(),
          [this, id = job->id, timeout = job->request.timeout] { end(id, timed_out(timeout)); });
    auto& server = servers_[key];
    if (!server)
      server =
          std::make_unique<Server>(io_, *std::move(target), [this](Job& j, Response r) { finish(j, std::move(r)); });
    server->add(job);
    if (!ticking_) tick();
  }

  /// `id` was not answered.
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

  void finish(Job& job, Response r) {
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
    if (ticking_) after(tick_, std::min(kReap, idle_), [this] { tick(); });
  }

  const absl::Duration idle_;
  std::mutex mutex_;
  bool stopped_ = false;
  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  asio::steady_timer tick_{io_};
  // The thread's alone.
  bool ticking_ = false;
  bool cancelled_ = false;
  std::map<std::uint64_t, Running> running_;
  std::unordered_map<std::string, std::unique_ptr<Server>> servers_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Subscription>> subscriptions_;
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
