// Calls to another service by gRPC's callback API: each is an object, none costs a thread.
#pragma once
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <utility>

namespace towline::grpc_kit {

/// The open calls of a client. If the last reference to a channel goes with a call that ends, gRPC 1.51 frees its
/// callback queue on a thread of that queue and crashes. So cancel the calls, wait here, and only then release the
/// channel.
class OpenCalls {
 public:
  /// Ends every open call, and every call that begins later.
  void cancel() {
    const std::lock_guard lock{mutex_};
    cancelled_ = true;
    for (grpc::ClientContext* c : contexts_) c->TryCancel();
  }
  /// Lives as long as `context`.
  class Cancellable {
   public:
    Cancellable(std::shared_ptr<OpenCalls> calls, grpc::ClientContext& context)
        : calls_{std::move(calls)}, context_{context} {
      const std::lock_guard lock{calls_->mutex_};
      calls_->contexts_.insert(&context_);
      if (calls_->cancelled_) context_.TryCancel();
    }
    Cancellable(const Cancellable&) = delete;
    Cancellable& operator=(const Cancellable&) = delete;
    ~Cancellable() {
      const std::lock_guard lock{calls_->mutex_};
      calls_->contexts_.erase(&context_);
    }

   private:
    const std::shared_ptr<OpenCalls> calls_;
    grpc::ClientContext& context_;
  };
  /// Lives until nothing of the call is left.
  class Place {
   public:
    explicit Place(std::shared_ptr<OpenCalls> calls) : calls_{std::move(calls)} {
      const std::lock_guard lock{calls_->mutex_};
      ++calls_->open_;
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() {
      const std::lock_guard lock{calls_->mutex_};
      if (--calls_->open_ == 0) calls_->none_.notify_all();
    }

   private:
    const std::shared_ptr<OpenCalls> calls_;
  };

  /// False: some calls were still open after `limit`.
  bool wait_until_none(std::chrono::milliseconds limit) {
    std::unique_lock lock{mutex_};
    return none_.wait_for(lock, limit, [this] { return open_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable none_;
  std::set<grpc::ClientContext*> contexts_;
  int open_ = 0;
  bool cancelled_ = false;
};

/// A stream of answers that is read one message at a time. The other messages stay in the transport, whose flow control
/// holds the sender back. Thread safe; its callbacks run on gRPC's threads.
template <class Response>
class StreamReader final : public grpc::ClientReadReactor<Response> {
 public:
  /// After a message: read on, wait until next() asks for another one, or end the call.
  enum class Then { read_on, wait, end };
  struct Events {
    std::function<Then(Response&)> on_message;
    /// Once, at the end.
    std::function<void(const grpc::Status&)> on_end;
  };

  /// `start(context, reactor)` begins the call at a stub. The first message is asked for.
  template <class Start>
  static std::shared_ptr<StreamReader> open(std::shared_ptr<OpenCalls> calls, Events events, Start start) {
    std::shared_ptr<StreamReader> reader{new StreamReader{std::move(calls), std::move(events)}};
    reader->self_ = reader;
    start(&reader->context_, reader.get());
    // Reads also begin outside of reactions. The failed last read removes the hold.
    reader->AddHold();
    reader->StartRead(&reader->message_);
    reader->StartCall();
    return reader;
  }

  /// Asks for one more message; may be called within on_message.
  void next() {
    const std::lock_guard lock{mutex_};
    if (idle_) read();
    else asked_ = true;
  }
  /// No message comes any more, but on_end does.
  void cancel() {
    context_.TryCancel();
    const std::lock_guard lock{mutex_};
    cancelled_ = true;
    // This read fails and removes the hold.
    read();
  }

 private:
  StreamReader(std::shared_ptr<OpenCalls> calls, Events events)
      : place_{calls}, events_{std::move(events)}, cancellable_{std::move(calls), context_} {}
  void read() {
    if (std::exchange(idle_, false)) this->StartRead(&message_);
  }
  void OnReadDone(bool ok) override {
    if (!ok) return this->RemoveHold();
    {
      const std::lock_guard lock{mutex_};
      if (cancelled_) {
        this->StartRead(&message_);
        return;
      }
    }
    const Then then = events_.on_message(message_);
    if (then == Then::end) context_.TryCancel();
    const std::lock_guard lock{mutex_};
    idle_ = true;
    cancelled_ = cancelled_ || then == Then::end;
    if (std::exchange(asked_, false) || then == Then::read_on || cancelled_) read();
  }
  void OnDone(const grpc::Status& status) override {
    events_.on_end(status);
    self_.reset();
  }

  // First, so that it is destroyed after the context, which refers to the channel.
  const OpenCalls::Place place_;
  const Events events_;
  std::mutex mutex_;
  grpc::ClientContext context_;
  const OpenCalls::Cancellable cancellable_;
  Response message_;
  bool idle_ = false, asked_ = false, cancelled_ = false;
  std::shared_ptr<StreamReader> self_;
};

/// A call with one answer.
template <class Request, class Response>
struct UnaryRequest {
  explicit UnaryRequest(std::shared_ptr<OpenCalls> calls) : place{calls}, cancellable{std::move(calls), context} {}
  // First, see StreamReader.
  const OpenCalls::Place place;
  grpc::ClientContext context;
  const OpenCalls::Cancellable cancellable;
  Request request;
  Response response;
};

}  // namespace towline::grpc_kit
