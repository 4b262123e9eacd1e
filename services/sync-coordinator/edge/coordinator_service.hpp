// The gRPC service SyncCoordinator.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "libs/wire/watchers.hpp"
#include "services/sync-coordinator/actors/tow.hpp"
#include "towline/v1/sync_coordinator.grpc.pb.h"

namespace towline::coordinator {

v1::SyncStatus to_proto(const std::vector<TowView>& views, absl::Time now);

class CoordinatorService final : public v1::SyncCoordinator::Service {
 public:
  /// Where the others are, as the operator configured it.
  struct Targets {
    std::string remote_fetcher, p2p_gossip;
  };
  CoordinatorService(Board& board, std::vector<std::unique_ptr<Tow>>& tows, Targets targets)
      : board_{board}, tows_{tows}, targets_{std::move(targets)} {}

  grpc::Status GetSyncStatus(grpc::ServerContext*, const v1::GetSyncStatusRequest*,
                             v1::GetSyncStatusResponse*) override;
  grpc::Status WatchSyncStatus(grpc::ServerContext*, const v1::WatchSyncStatusRequest*,
                               grpc::ServerWriter<v1::WatchSyncStatusResponse>*) override;
  grpc::Status Pause(grpc::ServerContext*, const v1::PauseRequest*, v1::PauseResponse*) override;
  grpc::Status Resume(grpc::ServerContext*, const v1::ResumeRequest*, v1::ResumeResponse*) override;
  grpc::Status ListDecisions(grpc::ServerContext*, const v1::ListDecisionsRequest*,
                             v1::ListDecisionsResponse*) override;

 private:
  grpc::Status for_each(const std::string& driver, const std::function<void(Tow&)>& what);
  Board& board_;
  std::vector<std::unique_ptr<Tow>>& tows_;
  const Targets targets_;
  wire::Watchers watchers_{64};
};

}  // namespace towline::coordinator
