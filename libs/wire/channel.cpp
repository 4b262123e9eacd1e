#include "libs/wire/channel.hpp"

#include <absl/strings/str_cat.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/support/client_interceptor.h>

namespace towline::wire {
namespace {

/// Adds the token to each call. gRPC's own call credentials refuse a plain-text connection.
class BearToken final : public grpc::experimental::Interceptor {
 public:
  explicit BearToken(const std::string& authorization) : authorization_{authorization} {}
  void Intercept(grpc::experimental::InterceptorBatchMethods* m) override {
    if (m->QueryInterceptionHookPoint(grpc::experimental::InterceptionHookPoints::PRE_SEND_INITIAL_METADATA))
      m->GetSendInitialMetadata()->insert({"authorization", authorization_});
    m->Proceed();
  }

 private:
  const std::string& authorization_;
};

class BearTokenFactory final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit BearTokenFactory(const std::string& token) : authorization_{absl::StrCat("Bearer ", token)} {}
  grpc::experimental::Interceptor* CreateClientInterceptor(grpc::experimental::ClientRpcInfo*) override {
    return new BearToken{authorization_};
  }

 private:
  const std::string authorization_;
};

}  // namespace

std::shared_ptr<grpc::Channel> make_channel(const std::string& target, const std::string& token) {
  grpc::ChannelArguments args;
  args.SetMaxReceiveMessageSize(64 << 20);
  args.SetLoadBalancingPolicyName("round_robin");
  // The least time for one connection attempt: with the default of 20 s calls would wait for a replica that vanished.
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  args.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 1000);
  args.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20000);
  args.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000);
  // A fixed window. gRPC would measure one with a ping for each burst of data, whose answer wakes both processes while
  // a new block is on its way to the EL.
  args.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  args.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 2 << 20);
  args.SetInt(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, 1 << 20);
  std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> interceptors;
  if (!token.empty()) interceptors.push_back(std::make_unique<BearTokenFactory>(token));
  return grpc::experimental::CreateCustomChannelWithInterceptors(target, grpc::InsecureChannelCredentials(), args,
                                                                 std::move(interceptors));
}

}  // namespace towline::wire
