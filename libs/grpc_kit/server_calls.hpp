// Calls of gRPC's callback API that an actor answers: each is an object, none costs a thread. The callbacks run on
// gRPC's threads and only hand over (anon_send). Actors call finish(), offer(), push() and close(), which never block.
// Thread safe.
#pragma once
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace towline::grpc_kit {

/// A call with one answer; the first answer counts. It lives until gRPC is done with it and nobody can answer any more.
template <class Response>
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  /// `on_gone`: called when the caller no longer waits, on a thread of gRPC.
  static std::shared_ptr<UnaryCall> make(Response* response, std::function<void()> on_gone = {}) {
    std::shared_ptr<UnaryCall> call{new UnaryCall{response, std::move(on_gone)}};
    call->self_ = call;
    return call;
  }

  void finish(Response response) {
    if (answered_.exchange(true)) return;
    *response_ = std::move(response);
    Finish(grpc::Status::OK);
  }
  void fail(grpc::Status status) {
    if (!answered_.exchange(true)) Finish(std::move(status));
  }

 private:
  UnaryCall(Response* response, std::function<void()> on_gone) : response_{response}, on_gone_{std::move(on_gone)} {}
  void OnCancel() override {
    if (on_gone_) on_gone_();
    fail(grpc::Status::CANCELLED);
  }
  void OnDone() override { self_.reset(); }

  Response* const response_;
  const std::function<void()> on_gone_;
  std::atomic<bool> answered_{false};
  std::shared_ptr<UnaryCall> self_;
};

/// A stream of answers. gRPC has at most one message, and the others wait here. Callers bound them: offer() keeps only
/// the latest; after push() wait for `on_room`.
template <class Response>
class StreamCall final : public grpc::ServerWriteReactor<Response> {
 public:
  struct Events {
    /// A message was handed to the transport and none waits. On a thread of gRPC.
    std::function<void()> on_room;
    /// Once, when the caller is gone or the call is over; later messages do not arrive. On a thread of gRPC.
    std::function<void()> on_gone;
  };

  static std::shared_ptr<StreamCall> make(Events events) {
    std::shared_ptr<StreamCall> call{new StreamCall{std::move(events)}};
    call->self_ = call;
    return call;
  }

  /// Sends `r` in place of the messages that still wait.
  void offer(Response r) {
    const std::lock_guard lock{mutex_};
    waiting_.clear();
    add(std::move(r));
  }
  /// Sends `r` after the messages that wait.
  void push(Response r) {
    const std::lock_guard lock{mutex_};
    add(std::move(r));
  }
  /// Sends all of them; `on_room` comes once, when the transport has the last.
  void push_all(std::vector<Response> all) {
    const std::lock_guard lock{mutex_};
    if (ending_) return;
    for (Response& r : all) waiting_.push_back(std::move(r));
    go_on();
  }
  /// Ends the call once the waiting messages are sent.
  void close(grpc::Status status) {
    const std::lock_guard lock{mutex_};
    end(std::move(status));
  }

 private:
  explicit StreamCall(Events events) : events_{std::move(events)} {}

  // These are called with the lock held: gRPC runs no reaction within Start*() or Finish().
  void add(Response r) {
    if (ending_) return;
    waiting_.push_back(std::move(r));
    go_on();
  }
  void end(grpc::Status status) {
    if (!std::exchange(ending_, true)) status_ = std::move(status);
    go_on();
  }
  void drop() {
    waiting_.clear();
    end(grpc::Status::CANCELLED);
  }
  void go_on() {
    if (writing_ || finished_) return;
    if (!waiting_.empty()) {
      current_ = std::move(waiting_.front());
      waiting_.pop_front();
      writing_ = true;
      this->StartWrite(&current_);
    } else if (ending_) {
      finished_ = true;
      this->Finish(status_);
    }
  }

  void OnWriteDone(bool ok) override {
    bool room = false;
    {
      const std::lock_guard lock{mutex_};
      writing_ = false;
      if (ok) go_on();
      else drop();
      room = ok && !writing_ && !ending_;
    }
    if (room && events_.on_room) events_.on_room();
  }
  void OnCancel() override {
    {
      const std::lock_guard lock{mutex_};
      drop();
    }
    gone();
  }
  void OnDone() override {
    gone();
    self_.reset();
  }
  void gone() {
    if (!said_gone_.exchange(true) && events_.on_gone) events_.on_gone();
  }

  const Events events_;
  std::mutex mutex_;
  std::deque<Response> waiting_;
  Response current_;
  bool writing_ = false, ending_ = false, finished_ = false;
  grpc::Status status_;
  std::atomic<bool> said_gone_{false};
  std::shared_ptr<StreamCall> self_;
};

/// Answers a call in its handler.
inline grpc::ServerUnaryReactor* answer(grpc::CallbackServerContext* context, grpc::Status status = grpc::Status::OK) {
  auto* reactor = context->DefaultReactor();
  reactor->Finish(std::move(status));
  return reactor;
}

/// Refuses a stream.
template <class Response>
grpc::ServerWriteReactor<Response>* refuse(grpc::Status status) {
  const auto call = StreamCall<Response>::make({});
  call->close(std::move(status));
  return call.get();
}

}  // namespace towline::grpc_kit
