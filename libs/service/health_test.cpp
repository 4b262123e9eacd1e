#include "libs/service/health.hpp"

#include <grpcpp/create_channel.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <atomic>

namespace towline::service {
namespace {

using grpc::health::v1::HealthCheckRequest;
using Response = Health::Response;

class HealthTest : public ::testing::Test {
 protected:
  HealthTest() {
    health_.add_service("a.B");
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&health_);
    server_ = builder.BuildAndStart();
    stub_ = grpc::health::v1::Health::NewStub(
        grpc::CreateChannel("127.0.0.1:" + std::to_string(port_), grpc::InsecureChannelCredentials()));
  }
  ~HealthTest() override {
    health_.stop();
    server_->Shutdown();
  }

  struct Watch {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<Response>> reader;
  };
  std::unique_ptr<Watch> watch(const std::string& service) {
    auto w = std::make_unique<Watch>();
    HealthCheckRequest request;
    request.set_service(service);
    w->reader = stub_->Watch(&w->context, request);
    return w;
  }
  static std::optional<Response::ServingStatus> next(Watch& w) {
    Response r;
    if (!w.reader->Read(&r)) return std::nullopt;
    return r.status();
  }
  grpc::Status check(const std::string& service, Response* response) {
    grpc::ClientContext context;
    HealthCheckRequest request;
    request.set_service(service);
    return stub_->Check(&context, request, response);
  }

  std::atomic<bool> ready_{false};
  Health health_{[this] { return ready_.load(); }};
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<grpc::health::v1::Health::Stub> stub_;
};

TEST_F(HealthTest, CheckTellsTheReadiness) {
  Response r;
  ASSERT_TRUE(check("a.B", &r).ok());
  EXPECT_EQ(r.status(), Response::NOT_SERVING);
  ready_ = true;
  ASSERT_TRUE(check("", &r).ok());
  EXPECT_EQ(r.status(), Response::SERVING);
  EXPECT_EQ(check("other", &r).error_code(), grpc::StatusCode::NOT_FOUND);
  health_.stop();
  ASSERT_TRUE(check("a.B", &r).ok());
  EXPECT_EQ(r.status(), Response::NOT_SERVING);
}

TEST_F(HealthTest, AWatchGetsEachChangeAndItsEnd) {
  const auto known = watch("a.B"), unknown = watch("other");
  EXPECT_EQ(next(*known), Response::NOT_SERVING);
  EXPECT_EQ(next(*unknown), Response::SERVICE_UNKNOWN) << "the stream stays open, as grpc.health.v1 asks for";
  ready_ = true;
  EXPECT_EQ(next(*known), Response::SERVING);
  health_.stop();
  EXPECT_EQ(next(*known), Response::NOT_SERVING);
  EXPECT_EQ(next(*known), std::nullopt);
  EXPECT_TRUE(known->reader->Finish().ok());
  EXPECT_EQ(next(*unknown), std::nullopt);
}

TEST_F(HealthTest, PlacesAreBoundedAndGivenBack) {
  std::vector<std::unique_ptr<Watch>> all;
  for (int i = 0; i < 32; ++i) {
    all.push_back(watch(""));
    ASSERT_EQ(next(*all.back()), Response::NOT_SERVING);
  }
  const auto refused = watch("");
  EXPECT_EQ(next(*refused), std::nullopt);
  EXPECT_EQ(refused->reader->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  all.front()->context.TryCancel();
  EXPECT_EQ(next(*all.front()), std::nullopt);
  // The server learns of it later than the client.
  for (std::optional<Response::ServingStatus> first; !first;) first = next(*watch(""));
}

}  // namespace
}  // namespace towline::service
