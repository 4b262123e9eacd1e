#include "libs/service/health.hpp"

#include <chrono>
#include <utility>

namespace towline::service {
namespace {
constexpr std::chrono::milliseconds kEvery{500};
}

using grpc::health::v1::HealthCheckRequest;
using Call = grpc_kit::StreamCall<Health::Response>;

Health::Health(std::function<bool()> ready) : ready_{std::move(ready)}, thread_{[this] { run(); }} {}

Health::~Health() { stop(); }

void Health::stop() {
  {
    const std::lock_guard lock{mutex_};
    stopped_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Health::run() {
  std::unique_lock lock{mutex_};
  for (;;) {
    // Without a watch nobody has to be asked.
    if (streams_.empty()) wake_.wait(lock, [this] { return stopped_ || joined_; });
    else wake_.wait_for(lock, kEvery, [this] { return stopped_ || joined_; });
    joined_ = false;
    const bool ends = stopped_;
    lock.unlock();
    const bool ready = !ends && ready_();
    lock.lock();
    for (Stream& s : streams_) {
      const auto status = status_of(s.service, ready && !stopped_);
      if (s.shown != status) {
        Response r;
        r.set_status(status);
        s.call->offer(std::move(r));
        s.shown = status;
      }
      if (ends) s.call->close(grpc::Status::OK);
    }
    if (ends) return;
  }
}

Health::Response::ServingStatus Health::status_of(const std::string& name, bool ready) const {
  if (!services_.contains(name)) return Response::SERVICE_UNKNOWN;
  return ready ? Response::SERVING : Response::NOT_SERVING;
}

grpc::ServerUnaryReactor* Health::Check(grpc::CallbackServerContext* context, const HealthCheckRequest* request,
                                        Response* response) {
  bool stopped = false;
  {
    const std::lock_guard lock{mutex_};
    stopped = stopped_;
  }
  const auto status = status_of(request->service(), !stopped && ready_());
  if (status == Response::SERVICE_UNKNOWN)
    return grpc_kit::answer(context, {grpc::StatusCode::NOT_FOUND, "unknown service"});
  response->set_status(status);
  return grpc_kit::answer(context);
}

grpc::ServerWriteReactor<Health::Response>* Health::Watch(grpc::CallbackServerContext*,
                                                          const HealthCheckRequest* request) {
  auto place = std::make_shared<wire::Watchers::Place>(watchers_.take());
  if (!*place) return grpc_kit::refuse<Response>(watchers_.refusal());
  const std::lock_guard lock{mutex_};
  if (stopped_) return grpc_kit::refuse<Response>({grpc::StatusCode::UNAVAILABLE, "shutting down"});
  const auto stream = streams_.insert(streams_.end(), Stream{request->service(), {}, {}});
  stream->call = Call::make({{}, [this, stream, place = std::move(place)] {
                               const std::lock_guard gone{mutex_};
                               streams_.erase(stream);
                             }});
  joined_ = true;
  wake_.notify_all();
  return stream->call.get();
}

}  // namespace towline::service
