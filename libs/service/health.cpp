#include "libs/service/health.hpp"

#include <optional>

namespace towline::service {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

void Health::stop() {
  {
    std::lock_guard lock{mutex_};
    stopped_ = true;
  }
  changed_.notify_all();
}

HealthCheckResponse::ServingStatus Health::status_of(const std::string& name) {
  if (!services_.contains(name)) return HealthCheckResponse::SERVICE_UNKNOWN;
  {
    std::lock_guard lock{mutex_};
    if (stopped_) return HealthCheckResponse::NOT_SERVING;
  }
  return ready_() ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

grpc::Status Health::Check(grpc::ServerContext*, const HealthCheckRequest* req, HealthCheckResponse* resp) {
  const auto status = status_of(req->service());
  if (status == HealthCheckResponse::SERVICE_UNKNOWN) return {grpc::StatusCode::NOT_FOUND, "unknown service"};
  resp->set_status(status);
  return grpc::Status::OK;
}

grpc::Status Health::Watch(grpc::ServerContext* ctx, const HealthCheckRequest* req,
                           grpc::ServerWriter<HealthCheckResponse>* out) {
  const auto place = watchers_.take();
  if (!place) return watchers_.refusal();
  std::optional<HealthCheckResponse::ServingStatus> last;
  while (!ctx->IsCancelled()) {
    const auto status = status_of(req->service());
    if (status != last) {
      HealthCheckResponse resp;
      resp.set_status(status);
      if (!out->Write(resp)) break;
      last = status;
    }
    std::unique_lock lock{mutex_};
    if (stopped_) break;
    // The time-out finds a peer that went away, which only IsCancelled() tells, and a change of readiness.
    changed_.wait_for(lock, std::chrono::milliseconds{500});
  }
  return grpc::Status::OK;
}

}  // namespace towline::service
