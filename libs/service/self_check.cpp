#include "libs/service/self_check.hpp"

#include <grpcpp/grpcpp.h>

#include "grpc/health/v1/health.grpc.pb.h"

namespace towline::service {
namespace {

constexpr auto kDeadline = std::chrono::seconds{5};
constexpr auto kBetween = std::chrono::milliseconds{200};

}  // namespace

SelfCheck::SelfCheck(std::string address, std::shared_ptr<grpc::ChannelCredentials> credentials)
    : address_{std::move(address)}, credentials_{std::move(credentials)}, thread_{[this] { run(); }} {}

SelfCheck::~SelfCheck() {
  {
    std::lock_guard lock{mutex_};
    stopped_ = true;
    if (call_ != nullptr) call_->TryCancel();
  }
  wake_.notify_all();
  thread_.join();
}

void SelfCheck::ask(std::function<void()> done) {
  {
    std::lock_guard lock{mutex_};
    done_ = std::move(done);
  }
  wake_.notify_all();
}

void SelfCheck::run() {
  std::unique_lock lock{mutex_};
  while (true) {
    wake_.wait(lock, [this] { return stopped_ || done_; });
    if (stopped_) return;
    lock.unlock();
    const bool yes = answers();
    lock.lock();
    if (yes) std::exchange(done_, nullptr)();
    else wake_.wait_for(lock, kBetween, [this] { return stopped_; });
  }
}

bool SelfCheck::answers() {
  grpc::ChannelArguments args;
  // A connection of its own, not one that another channel of the process has open.
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  args.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  const auto stub = grpc::health::v1::Health::NewStub(grpc::CreateCustomChannel(address_, credentials_, args));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kDeadline);
  {
    std::lock_guard lock{mutex_};
    if (stopped_) return false;
    call_ = &context;
  }
  grpc::health::v1::HealthCheckResponse response;
  const grpc::Status s = stub->Check(&context, {}, &response);
  std::lock_guard lock{mutex_};
  call_ = nullptr;
  // RESOURCE_EXHAUSTED: the server has no free thread, so it is busy and alive.
  return s.ok() || s.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED;
}

}  // namespace towline::service
