#include "libs/http/ws_server.hpp"

#include <algorithm>

#include "libs/base/steady_time.hpp"
#include "libs/http/ws_message.hpp"

namespace towline::http {
namespace {

/// After the server refused a connection: how long no further one is opened beside those that work.
constexpr absl::Duration kPause = absl::Seconds(10);

}  // namespace

WsServer::~WsServer() {
  for (auto& l : lines_) l.connection->close();
}

void WsServer::add(std::shared_ptr<WsJob> job) {
  if (waiting_.size() >= limits_.waiting) {
    finish_(*job, unavailable(Failure::other, "too many requests wait for a connection to this server"));
    return;
  }
  waiting_.push_back(std::move(job));
  go_on();
}

void WsServer::forget(std::uint64_t id) {
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

void WsServer::reap(absl::Time now, absl::Duration idle) {
  std::vector<WsConnection*> old;
  for (auto& l : lines_) {
    if (l.open && !l.job && now - l.used >= idle) old.push_back(l.connection.get());
  }
  for (auto* c : old) hang_up(*c);
}

WsServer::Line* WsServer::line_of(const WsConnection& c) {
  const auto it = std::find_if(lines_.begin(), lines_.end(), [&](const Line& l) { return l.connection.get() == &c; });
  return it == lines_.end() ? nullptr : &*it;
}

WsServer::Line WsServer::take_out(WsConnection& c) {
  Line* const l = line_of(c);
  Line out = std::move(*l);
  lines_.erase(lines_.begin() + (l - lines_.data()));
  return out;
}

void WsServer::go_on() {
  while (!waiting_.empty()) {
    Line* best = nullptr;
    for (auto& l : lines_) {
      // The most recently used one, so that surplus connections become idle and are closed.
      if (l.open && !l.job && (best == nullptr || l.used > best->used)) best = &l;
    }
    if (best == nullptr) break;
    best->job = std::move(waiting_.front());
    waiting_.pop_front();
    best->connection->send(best->job->request.body, best->job->request.max_response_bytes);
  }
  std::size_t opening = 0;
  for (const auto& l : lines_) opening += l.open ? 0 : 1;
  for (; waiting_.size() > opening && lines_.size() < limits_.connections; ++opening) {
    if (!lines_.empty() && steady_now() < pause_) break;
    Line l;
    l.connection = open_websocket(io_, target_, *this);
    lines_.push_back(std::move(l));
  }
}

void WsServer::on_open(WsConnection& c) {
  Line& l = *line_of(c);
  l.open = true;
  l.used = steady_now();
  go_on();
}

void WsServer::on_message(WsConnection& c, std::string message) {
  Line& l = *line_of(c);
  if (classify(message) == WsMessage::notification) {
    if (!l.unasked.admit(steady_now()))
      on_down(c, unavailable(Failure::other, "the server floods the connection with notifications"));
    return;
  }
  const auto job = std::exchange(l.job, nullptr);
  // An answer to nothing, or one that came before the whole question was sent: the connection is out of step.
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

void WsServer::on_down(WsConnection& c, Response why) {
  const Line gone = take_out(c);
  gone.connection->close();
  if (gone.job) {
    // The server may have closed the idle connection just before the request was sent.
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

}  // namespace towline::http
