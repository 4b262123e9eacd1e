#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>
#include <vector>

#include "libs/grpc_kit/client_calls.hpp"
#include "libs/grpc_kit/server_calls.hpp"
#include "towline/v1/payload_source.grpc.pb.h"

namespace towline::grpc_kit {
namespace {

using ::testing::ElementsAre;
using Stream = StreamCall<v1::StreamPayloadsResponse>;
using Unary = UnaryCall<v1::GetPayloadResponse>;
/// Only what hangs reaches it.
constexpr auto kLong = std::chrono::seconds{60};

v1::StreamPayloadsResponse message(const std::string& name) {
  v1::StreamPayloadsResponse r;
  r.set_endpoint(name);
  return r;
}

/// Hands its calls to the test.
class Service final : public v1::PayloadSource::CallbackService {
 public:
  grpc::ServerUnaryReactor* GetPayload(grpc::CallbackServerContext*, const v1::GetPayloadRequest*,
                                       v1::GetPayloadResponse* response) override {
    const auto call = Unary::make(response, [this] { unary_gone.set_value(); });
    unary.set_value(call);
    return call.get();
  }
  grpc::ServerWriteReactor<v1::StreamPayloadsResponse>* StreamPayloads(grpc::CallbackServerContext*,
                                                                       const v1::StreamPayloadsRequest*) override {
    if (full) return refuse<v1::StreamPayloadsResponse>({grpc::StatusCode::RESOURCE_EXHAUSTED, "full"});
    const auto call = Stream::make({[this] { ++rooms; }, [this] { gone.set_value(); }});
    stream.set_value(call);
    return call.get();
  }

  bool full = false;
  std::atomic<int> rooms{0};
  std::promise<std::shared_ptr<Unary>> unary;
  std::promise<std::shared_ptr<Stream>> stream;
  std::promise<void> gone, unary_gone;
};

class GrpcKit : public ::testing::Test {
 protected:
  GrpcKit() {
    grpc::ServerBuilder b;
    int port = 0;
    b.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    b.RegisterService(&service_);
    server_ = b.BuildAndStart();
    channel_ = grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials());
    stub_ = v1::PayloadSource::NewStub(channel_);
  }
  ~GrpcKit() override {
    EXPECT_TRUE(calls_->wait_until_none(kLong));
    server_->Shutdown();
    server_->Wait();
  }
  /// Reads into `seen_`, one message at a time as the test asks for them.
  std::shared_ptr<StreamReader<v1::StreamPayloadsResponse>> open() {
    using Reader = StreamReader<v1::StreamPayloadsResponse>;
    return Reader::open(calls_,
                        {[this](v1::StreamPayloadsResponse& m) {
                           const std::lock_guard lock{mutex_};
                           seen_.push_back(m.endpoint());
                           changed_.notify_all();
                           return Reader::Then::wait;
                         },
                         [this](const grpc::Status& s) { ended_.set_value(s); }},
                        [this](grpc::ClientContext* c, grpc::ClientReadReactor<v1::StreamPayloadsResponse>* r) {
                          stub_->async()->StreamPayloads(c, &request_, r);
                        });
  }
  std::vector<std::string> seen(std::size_t n) {
    std::unique_lock lock{mutex_};
    EXPECT_TRUE(changed_.wait_for(lock, kLong, [&] { return seen_.size() >= n; }));
    return seen_;
  }
  grpc::Status end() { return ended_.get_future().get(); }

  Service service_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<OpenCalls> calls_ = std::make_shared<OpenCalls>();
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::PayloadSource::Stub> stub_;
  v1::StreamPayloadsRequest request_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> seen_;
  std::promise<grpc::Status> ended_;
};

TEST_F(GrpcKit, WhatIsPushedComesInOrderAndTheEndBehindIt) {
  const auto reader = open();
  const auto stream = service_.stream.get_future().get();
  for (const char* name : {"a", "b", "c"}) stream->push(message(name));
  stream->close({grpc::StatusCode::NOT_FOUND, "no more"});
  stream->push(message("late"));
  for (std::size_t n = 1; n <= 3; ++n) {
    EXPECT_EQ(seen(n).size(), n) << "one is read for each that is asked for";
    reader->next();
  }
  EXPECT_THAT(seen(3), ElementsAre("a", "b", "c"));
  EXPECT_EQ(end().error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(GrpcKit, ThereIsRoomOnceAllOfABatchIsSent) {
  const auto reader = open();
  const auto stream = service_.stream.get_future().get();
  for (const int batches : {1, 2, 3}) {
    stream->push_all({message("a"), message("b"), message("c")});
    for (int k = 0; k < 3; ++k) {
      seen(static_cast<std::size_t>(3 * (batches - 1) + k + 1));
      reader->next();
    }
    while (service_.rooms < batches) std::this_thread::yield();
    EXPECT_EQ(service_.rooms, batches);
  }
  stream->close(grpc::Status::OK);
  EXPECT_TRUE(end().ok());
}

TEST_F(GrpcKit, OfWhatIsOfferedTheLatestAloneWaits) {
  const auto reader = open();
  const auto stream = service_.stream.get_future().get();
  // More than the transport takes while nobody reads: gRPC has at most one message, and one waits.
  const std::string large(1 << 20, 'x');
  for (int i = 0; i < 200; ++i) stream->offer(message(std::to_string(i) + large));
  stream->offer(message("last"));
  std::size_t n = 1;
  while (seen(n).back() != "last") {
    reader->next();
    ++n;
  }
  EXPECT_LT(n, 100U);
  stream->close(grpc::Status::OK);
  reader->next();
  EXPECT_TRUE(end().ok());
  EXPECT_GT(service_.rooms, 0);
}

TEST_F(GrpcKit, ACallerThatLeavesIsNoticedOnce) {
  const auto reader = open();
  const auto stream = service_.stream.get_future().get();
  reader->cancel();
  service_.gone.get_future().get();
  EXPECT_EQ(end().error_code(), grpc::StatusCode::CANCELLED);
  stream->push(message("nobody reads it"));
}

TEST_F(GrpcKit, WhoeverStopsEndsTheCallsThatAreOutAndThoseThatCome) {
  const auto reader = open();
  service_.stream.get_future().get();
  calls_->cancel();
  EXPECT_EQ(end().error_code(), grpc::StatusCode::CANCELLED);
  ended_ = {};
  const auto late = open();
  EXPECT_EQ(end().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(GrpcKit, ARefusedStreamSaysWhy) {
  service_.full = true;
  const auto reader = open();
  EXPECT_EQ(end().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(GrpcKit, TheFirstAnswerCounts) {
  auto request = std::make_shared<UnaryRequest<v1::GetPayloadRequest, v1::GetPayloadResponse>>(calls_);
  std::promise<grpc::Status> done;
  stub_->async()->GetPayload(&request->context, &request->request, &request->response,
                             [&, request](grpc::Status s) { done.set_value(std::move(s)); });
  const auto call = service_.unary.get_future().get();
  v1::GetPayloadResponse response;
  response.set_endpoint("first");
  call->finish(response);
  call->fail({grpc::StatusCode::INTERNAL, "second"});
  EXPECT_TRUE(done.get_future().get().ok());
  EXPECT_EQ(request->response.endpoint(), "first");
}

TEST_F(GrpcKit, ACallerWhoWaitsNoMoreIsToldOf) {
  auto request = std::make_shared<UnaryRequest<v1::GetPayloadRequest, v1::GetPayloadResponse>>(calls_);
  std::promise<grpc::Status> done;
  stub_->async()->GetPayload(&request->context, &request->request, &request->response,
                             [&, request](grpc::Status s) { done.set_value(std::move(s)); });
  const auto call = service_.unary.get_future().get();
  request->context.TryCancel();
  service_.unary_gone.get_future().get();
  EXPECT_EQ(done.get_future().get().error_code(), grpc::StatusCode::CANCELLED);
  call->finish({});
}

}  // namespace
}  // namespace towline::grpc_kit
