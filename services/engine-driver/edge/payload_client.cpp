#include "services/engine-driver/edge/payload_client.hpp"

#include <absl/strings/str_cat.h>
#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "libs/wire/convert.hpp"
#include "towline/v1/payload_source.grpc.pb.h"

namespace towline::driver {
namespace {

constexpr std::size_t kMaxAheadBytes = 32U << 20U;

class GrpcPayloadStream final : public PayloadStream {
 public:
  GrpcPayloadStream(const std::shared_ptr<grpc::Channel>& channel, const eth::BlockId& parent, const eth::BlockId& tip)
      : stub_{v1::PayloadSource::NewStub(channel)} {
    *request_.mutable_parent() = wire::to_proto(parent);
    *request_.mutable_tip() = wire::to_proto(tip);
    thread_ = std::thread{[this] { run(); }};
  }
  ~GrpcPayloadStream() override {
    {
      std::lock_guard lock{mutex_};
      cancelled_ = true;
    }
    room_.notify_all();
    context_.TryCancel();
    thread_.join();
  }

  absl::StatusOr<std::optional<PreparedPayload>> next(std::chrono::milliseconds limit) override {
    std::unique_lock lock{mutex_};
    arrived_.wait_for(lock, limit, [this] { return !queue_.empty() || ended_; });
    if (!queue_.empty()) {
      PreparedPayload p = std::move(queue_.front());
      queue_.pop_front();
      bytes_ -= p.body.size();
      room_.notify_all();
      return p;
    }
    if (!ended_) return std::nullopt;
    return status_.ok() ? absl::OutOfRangeError("the stream ended before the tip") : status_;
  }

 private:
  void run() {
    auto reader = stub_->StreamPayloads(&context_, request_);
    v1::StreamPayloadsResponse message;
    absl::Status bad;
    bool left_early = false;
    while (reader->Read(&message)) {
      auto prepared = prepare(message.payload());
      if (!prepared.ok()) {
        bad = prepared.status();
        left_early = true;
        break;
      }
      std::unique_lock lock{mutex_};
      room_.wait(lock, [this] { return bytes_ < kMaxAheadBytes || cancelled_; });
      left_early = cancelled_;
      if (left_early) break;
      bytes_ += prepared->body.size();
      queue_.push_back(*std::move(prepared));
      arrived_.notify_all();
    }
    // Only then: after a stream that ended by itself this would hide the status that it ended with.
    if (left_early) context_.TryCancel();
    const grpc::Status end = reader->Finish();
    std::lock_guard lock{mutex_};
    status_ = bad.ok() ? wire::from_grpc(end) : bad;
    ended_ = true;
    arrived_.notify_all();
  }

  static absl::StatusOr<PreparedPayload> prepare(const v1::ExecutionPayload& message) {
    auto payload = wire::from_proto(message);
    if (!payload.ok()) return absl::DataLossError(absl::StrCat("malformed payload: ", payload.status().message()));
    return driver::prepare(*payload);
  }

  std::unique_ptr<v1::PayloadSource::Stub> stub_;
  v1::StreamPayloadsRequest request_;
  grpc::ClientContext context_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::condition_variable room_;
  std::deque<PreparedPayload> queue_;
  std::size_t bytes_ = 0;
  bool ended_ = false;
  bool cancelled_ = false;
  absl::Status status_;
  std::thread thread_;
};

}  // namespace

OpenPayloadStream open_over(std::shared_ptr<grpc::Channel> remote, std::shared_ptr<grpc::Channel> gossip) {
  return [remote = std::move(remote), gossip = std::move(gossip)](
             const eth::BlockId& parent, const eth::BlockId& tip,
             contract::PayloadOrigin origin) -> std::unique_ptr<PayloadStream> {
    return std::make_unique<GrpcPayloadStream>(origin == contract::PayloadOrigin::gossip ? gossip : remote, parent,
                                               tip);
  };
}

}  // namespace towline::driver
