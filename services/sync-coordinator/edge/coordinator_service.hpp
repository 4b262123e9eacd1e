// The gRPC service SyncCoordinator.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "libs/wire/watchers.hpp"
#include "services/sync-coordinator/actors/tow.hpp"
#include "towline/v1/sync_coordinator.grpc.pb.h"

namespace towline::coordinator {

v1::SyncStatus to_proto(const SyncStatus& status, absl::Time now);

class CoordinatorService final : public v1::SyncCoordinator::CallbackService {
 public:
  /// The addresses of the other services, as the operator configured them.
  struct Targets {
    std::string remote_fetcher, p2p_gossip;
    std::vector<std::string> drivers;
  };
  /// `tows` are in the order of `targets.drivers`.
  CoordinatorService(const Published<SyncStatus>& latest, status_hub_actor hub, std::vector<tow_actor> tows,
                     Targets targets)
      : latest_{latest}, hub_{std::move(hub)}, tows_{std::move(tows)}, targets_{std::move(targets)} {}

  grpc::ServerUnaryReactor* GetSyncStatus(grpc::CallbackServerContext*, const v1::GetSyncStatusRequest*,
                                          v1::GetSyncStatusResponse*) override;
  grpc::ServerWriteReactor<v1::WatchSyncStatusResponse>* WatchSyncStatus(grpc::CallbackServerContext*,
                                                                         const v1::WatchSyncStatusRequest*) override;
  grpc::ServerUnaryReactor* Pause(grpc::CallbackServerContext*, const v1::PauseRequest*, v1::PauseResponse*) override;
  grpc::ServerUnaryReactor* Resume(grpc::CallbackServerContext*, const v1::ResumeRequest*,
                                   v1::ResumeResponse*) override;
  grpc::ServerUnaryReactor* ListDecisions(grpc::CallbackServerContext*, const v1::ListDecisionsRequest*,
                                          v1::ListDecisionsResponse*) override;

 private:
  grpc::Status for_each(const std::string& driver, const std::function<void(const tow_actor&)>& what) const;
  const Published<SyncStatus>& latest_;
  const status_hub_actor hub_;
  const std::vector<tow_actor> tows_;
  const Targets targets_;
  wire::Watchers watchers_{64};
};

}  // namespace towline::coordinator
