#include "services/engine-driver/edge/payload_client.hpp"

#include <absl/strings/str_cat.h>

#include <deque>
#include <mutex>

#include "libs/wire/convert.hpp"
#include "towline/v1/payload_source.grpc.pb.h"

namespace towline::driver {
namespace {

constexpr std::size_t kMaxAheadBytes = 32U << 20U;

absl::StatusOr<PreparedPayload> prepared(const v1::ExecutionPayload& message) {
  auto payload = wire::from_proto(message);
  if (!payload.ok()) return absl::DataLossError(absl::StrCat("malformed payload: ", payload.status().message()));
  return prepare(*payload);
}

/// Between gRPC's threads, which fill it, and the writer, which empties it.
class Ahead {
 public:
  using Then = grpc_kit::StreamReader<v1::StreamPayloadsResponse>::Then;
  Then put(absl::StatusOr<PreparedPayload> p) {
    std::unique_lock lock{mutex_};
    if (end_) return Then::end;
    if (!p.ok()) {
      end_ = p.status();
    } else {
      bytes_ += p->body.size();
      ready_.push_back(*std::move(p));
    }
    answer(lock);
    if (end_) return Then::end;
    return bytes_ < kMaxAheadBytes ? Then::read_on : Then::wait;
  }
  void end(const absl::Status& why) {
    std::unique_lock lock{mutex_};
    if (!end_) end_ = why.ok() ? absl::OutOfRangeError("the stream ended before the tip") : why;
    answer(lock);
  }
  /// True: there was no room, and now there is.
  bool take(PayloadStream::Done done) {
    std::unique_lock lock{mutex_};
    const bool full = bytes_ >= kMaxAheadBytes;
    waiting_ = std::move(done);
    answer(lock);
    return full && bytes_ < kMaxAheadBytes;
  }

 private:
  /// Tells who waits, without the lock, which it takes again.
  void answer(std::unique_lock<std::mutex>& lock) {
    if (!waiting_ || (ready_.empty() && !end_)) return;
    const PayloadStream::Done done = std::exchange(waiting_, nullptr);
    NextPayload::Answer next;
    if (!ready_.empty()) {
      bytes_ -= ready_.front().body.size();
      next = std::move(ready_.front());
      ready_.pop_front();
    } else {
      next = *end_;
    }
    lock.unlock();
    done(std::move(next));
    lock.lock();
  }

  std::mutex mutex_;
  std::deque<PreparedPayload> ready_;
  std::size_t bytes_ = 0;
  std::optional<absl::Status> end_;
  PayloadStream::Done waiting_;
};

class GrpcPayloadStream final : public PayloadStream {
 public:
  GrpcPayloadStream(const std::shared_ptr<grpc::Channel>& channel, const OpenPayloads& e,
                    std::shared_ptr<grpc_kit::OpenCalls> calls)
      : stub_{v1::PayloadSource::NewStub(channel)} {
    v1::StreamPayloadsRequest request;
    *request.mutable_parent() = wire::to_proto(e.parent);
    *request.mutable_tip() = wire::to_proto(e.tip);
    reader_ =
        Reader::open(std::move(calls),
                     {[ahead = ahead_](v1::StreamPayloadsResponse& m) { return ahead->put(prepared(m.payload())); },
                      [ahead = ahead_](const grpc::Status& s) { ahead->end(wire::from_grpc(s)); }},
                     [&](grpc::ClientContext* context, grpc::ClientReadReactor<v1::StreamPayloadsResponse>* reactor) {
                       stub_->async()->StreamPayloads(context, &request, reactor);
                     });
  }
  ~GrpcPayloadStream() override { reader_->cancel(); }

  void next(Done done) override {
    if (ahead_->take(std::move(done))) reader_->next();
  }

 private:
  using Reader = grpc_kit::StreamReader<v1::StreamPayloadsResponse>;
  const std::unique_ptr<v1::PayloadSource::Stub> stub_;
  const std::shared_ptr<Ahead> ahead_ = std::make_shared<Ahead>();
  std::shared_ptr<Reader> reader_;
};

}  // namespace

OpenPayloadStream open_over(std::shared_ptr<grpc::Channel> remote, std::shared_ptr<grpc::Channel> gossip,
                            std::shared_ptr<grpc_kit::OpenCalls> calls) {
  return [remote = std::move(remote), gossip = std::move(gossip), calls = std::move(calls)](const OpenPayloads& e) {
    return std::make_unique<GrpcPayloadStream>(e.origin == contract::PayloadOrigin::gossip ? gossip : remote, e, calls);
  };
}

}  // namespace towline::driver
