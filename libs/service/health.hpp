// grpc.health.v1.Health from our own copy of the proto. The service inside gRPC 1.51 has no descriptor, and without
// that reflection clients cannot describe any service of the process.
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <string>

#include "grpc/health/v1/health.grpc.pb.h"
#include "libs/wire/watchers.hpp"

namespace towline::service {

class Health final : public grpc::health::v1::Health::Service {
 public:
  /// `ready`: the readiness that /readyz also shows.
  explicit Health(std::function<bool()> ready) : ready_{std::move(ready)} {}
  void add_service(const std::string& full_name) { services_.insert(full_name); }
  /// The process ends: from now on every service is NOT_SERVING.
  void stop();

  grpc::Status Check(grpc::ServerContext*, const grpc::health::v1::HealthCheckRequest*,
                     grpc::health::v1::HealthCheckResponse*) override;
  grpc::Status Watch(grpc::ServerContext*, const grpc::health::v1::HealthCheckRequest*,
                     grpc::ServerWriter<grpc::health::v1::HealthCheckResponse>*) override;

 private:
  grpc::health::v1::HealthCheckResponse::ServingStatus status_of(const std::string& name);
  const std::function<bool()> ready_;
  std::set<std::string> services_{""};
  wire::Watchers watchers_{32};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false;
};

}  // namespace towline::service
