// grpc.health.v1.Health from our own copy of the proto. The service inside gRPC 1.51 has no descriptor, and without
// that reflection clients cannot describe any service of the process.
#pragma once
#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "grpc/health/v1/health.grpc.pb.h"
#include "libs/grpc_kit/server_calls.hpp"
#include "libs/wire/watchers.hpp"

namespace towline::service {

/// Must outlive the server that it is registered with.
class Health final : public grpc::health::v1::Health::CallbackService {
 public:
  using Response = grpc::health::v1::HealthCheckResponse;

  /// `ready`: the readiness that /readyz also shows. It may block; a thread of Health's own asks it for the watches.
  explicit Health(std::function<bool()> ready);
  ~Health() override;
  void add_service(const std::string& full_name) { services_.insert(full_name); }
  /// The process ends: from now on every service is NOT_SERVING, the watches end, and `ready` is asked for none of
  /// them.
  void stop();

  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext*, const grpc::health::v1::HealthCheckRequest*,
                                  Response*) override;
  grpc::ServerWriteReactor<Response>* Watch(grpc::CallbackServerContext*,
                                            const grpc::health::v1::HealthCheckRequest*) override;

 private:
  struct Stream {
    std::string service;
    std::shared_ptr<grpc_kit::StreamCall<Response>> call;
    std::optional<Response::ServingStatus> shown;
  };
  void run();
  Response::ServingStatus status_of(const std::string& name, bool ready) const;

  const std::function<bool()> ready_;
  std::set<std::string> services_{""};
  wire::Watchers watchers_{32};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::list<Stream> streams_;
  bool joined_ = false;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace towline::service
