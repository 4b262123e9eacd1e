#include "services/engine-driver/edge/payload_client.hpp"

#include <absl/strings/str_cat.h>

#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <set>

#include "libs/base/status.hpp"
#include "libs/wire/channel.hpp"
#include "libs/wire/convert.hpp"
#include "towline/v1/p2p_gossip.grpc.pb.h"
#include "towline/v1/payload_source.grpc.pb.h"
#include "towline/v1/remote_fetcher.grpc.pb.h"

namespace towline::driver {
namespace {

constexpr std::size_t kMaxAheadBytes = 32U << 20U;
/// For each window of a shared range, and for what p2p-gossip pushes; the payloads taken out have bounds of their own.
constexpr std::size_t kWindowAheadBytes = 4U << 20U;
constexpr std::chrono::seconds kHeightsWithin{8};

absl::StatusOr<PreparedPayload> prepared(const v1::ExecutionPayload& message) {
  auto payload = wire::from_proto(message);
  if (!payload.ok()) return absl::DataLossError(absl::StrCat("malformed payload: ", payload.status().message()));
  return prepare(*payload);
}

/// Payloads read ahead: gRPC threads fill it, the actor that reads the stream empties it.
template <class Response>
class Ahead {
 public:
  explicit Ahead(std::size_t max_bytes) : max_bytes_{max_bytes} {}
  using Then = typename grpc_kit::StreamReader<Response>::Then;
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
    return bytes_ < max_bytes_ ? Then::read_on : Then::wait;
  }
  void end(const absl::Status& why) {
    std::unique_lock lock{mutex_};
    if (!end_) end_ = why.ok() ? absl::OutOfRangeError("the stream ended before the tip") : why;
    answer(lock);
  }
  /// Returns true if the buffer was full and now has room.
  bool take(PayloadStream::Done done) {
    std::unique_lock lock{mutex_};
    const bool full = bytes_ >= max_bytes_;
    waiting_ = std::move(done);
    answer(lock);
    return full && bytes_ < max_bytes_;
  }

 private:
  /// Answers a waiting request. Unlocks for the callback, and locks again.
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

  const std::size_t max_bytes_;
  std::mutex mutex_;
  std::deque<PreparedPayload> ready_;
  std::size_t bytes_ = 0;
  std::optional<absl::Status> end_;
  PayloadStream::Done waiting_;
};

/// A stream of messages with a payload each; those without one only show that the stream lives.
template <class Service, class Response>
class GrpcPayloadStream final : public PayloadStream {
 public:
  /// `start(stub, context, reactor)` begins the call.
  template <class Start>
  GrpcPayloadStream(const std::shared_ptr<grpc::Channel>& channel, std::size_t max_ahead_bytes,
                    std::shared_ptr<grpc_kit::OpenCalls> calls, Start start)
      : stub_{Service::NewStub(channel)}, ahead_{std::make_shared<Ahead<Response>>(max_ahead_bytes)} {
    reader_ = Reader::open(std::move(calls),
                           {[ahead = ahead_](Response& m) {
                              return m.has_payload() ? ahead->put(prepared(m.payload())) : Reader::Then::read_on;
                            },
                            [ahead = ahead_](const grpc::Status& s) { ahead->end(wire::from_grpc(s)); }},
                           [&](grpc::ClientContext* context, grpc::ClientReadReactor<Response>* reactor) {
                             start(*stub_->async(), context, reactor);
                           });
  }
  ~GrpcPayloadStream() override { reader_->cancel(); }

  void next(Done done) override {
    if (ahead_->take(std::move(done))) reader_->next();
  }

 private:
  using Reader = grpc_kit::StreamReader<Response>;
  const std::unique_ptr<typename Service::Stub> stub_;
  const std::shared_ptr<Ahead<Response>> ahead_;
  std::shared_ptr<Reader> reader_;
};

std::unique_ptr<PayloadStream> open_range(const std::shared_ptr<grpc::Channel>& channel, const eth::BlockId& parent,
                                          const eth::BlockId& tip, std::size_t max_ahead_bytes,
                                          std::shared_ptr<grpc_kit::OpenCalls> calls) {
  v1::StreamPayloadsRequest request;
  *request.mutable_parent() = wire::to_proto(parent);
  *request.mutable_tip() = wire::to_proto(tip);
  return std::make_unique<GrpcPayloadStream<v1::PayloadSource, v1::StreamPayloadsResponse>>(
      channel, max_ahead_bytes, std::move(calls),
      [&request](auto& stub, auto* context, auto* reactor) { stub.StreamPayloads(context, &request, reactor); });
}

/// The blocks at heights at which a majority of the trust groups has one block.
absl::StatusOr<Heights> heights_from(const v1::CompareEndpointsResponse& response) {
  std::set<std::uint64_t> known;
  for (const auto& b : response.majority()) known.insert(b.number());
  Heights out;
  for (const auto& e : response.endpoints()) {
    auto& has = out.emplace_back();
    for (const auto& b : e.blocks()) {
      TOWLINE_ASSIGN_OR_RETURN(const eth::BlockId id, wire::from_proto(b));
      if (known.contains(id.number)) has[id.number] = id.hash;
    }
  }
  return out;
}

class GrpcFetchers final : public FetcherCalls {
 public:
  GrpcFetchers(std::string token, std::shared_ptr<grpc_kit::OpenCalls> calls)
      : token_{std::move(token)}, calls_{std::move(calls)} {}

  std::unique_ptr<PayloadStream> open(const std::string& replica, const eth::BlockId& from,
                                      const eth::BlockId& to) override {
    return open_range(channel(replica), from, to, kWindowAheadBytes, calls_);
  }

  void heights(const std::string& replica, const std::vector<std::uint64_t>& numbers,
               std::function<void(absl::StatusOr<Heights>)> done) override {
    struct Ask : grpc_kit::UnaryRequest<v1::CompareEndpointsRequest, v1::CompareEndpointsResponse> {
      using UnaryRequest::UnaryRequest;
      std::unique_ptr<v1::RemoteFetcher::Stub> stub;
    };
    const auto ask = std::make_shared<Ask>(calls_);
    ask->stub = v1::RemoteFetcher::NewStub(channel(replica));
    ask->request.mutable_numbers()->Add(numbers.begin(), numbers.end());
    ask->context.set_deadline(std::chrono::system_clock::now() + kHeightsWithin);
    ask->stub->async()->CompareEndpoints(&ask->context, &ask->request, &ask->response,
                                         [ask, done = std::move(done)](const grpc::Status& st) {
                                           if (!st.ok()) return done(wire::from_grpc(st));
                                           done(heights_from(ask->response));
                                         });
  }

  void forget(const std::string& replica) override { channels_.erase(replica); }

 private:
  std::shared_ptr<grpc::Channel> channel(const std::string& replica) {
    auto& c = channels_[replica];
    if (!c) c = wire::make_channel(replica, token_);
    return c;
  }
  const std::string token_;
  const std::shared_ptr<grpc_kit::OpenCalls> calls_;
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_;
};

}  // namespace

std::unique_ptr<FetcherCalls> make_fetcher_calls(std::string token, std::shared_ptr<grpc_kit::OpenCalls> calls) {
  return std::make_unique<GrpcFetchers>(std::move(token), std::move(calls));
}

OpenPayloadStream open_over(std::shared_ptr<grpc::Channel> source, std::shared_ptr<grpc_kit::OpenCalls> calls) {
  return [source = std::move(source), calls = std::move(calls)](const OpenPayloads& e) {
    return open_range(source, e.parent, e.tip, kMaxAheadBytes, calls);
  };
}

std::unique_ptr<PayloadStream> watch_payloads(const std::shared_ptr<grpc::Channel>& gossip,
                                              std::shared_ptr<grpc_kit::OpenCalls> calls) {
  static const v1::WatchPayloadsRequest kRequest;
  return std::make_unique<GrpcPayloadStream<v1::P2PGossip, v1::WatchPayloadsResponse>>(
      gossip, kWindowAheadBytes, std::move(calls),
      [](auto& stub, auto* context, auto* reactor) { stub.WatchPayloads(context, &kRequest, reactor); });
}

}  // namespace towline::driver
