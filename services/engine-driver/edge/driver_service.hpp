// The gRPC service EngineDriver: messages to values, a job for the writer, values to messages.
#pragma once
#include <caf/typed_actor.hpp>

#include <atomic>
#include <functional>

#include "libs/wire/watchers.hpp"
#include "services/engine-driver/actors/engine_client.hpp"
#include "services/engine-driver/actors/state_board.hpp"
#include "services/engine-driver/actors/writer.hpp"
#include "towline/v1/engine_driver.grpc.pb.h"

namespace towline::driver {

/// Runs jobs one after the other; `run` returns when the job is done. RESOURCE_EXHAUSTED: too many are waiting.
using RunOnWriter = std::function<absl::Status(const std::function<void()>& job)>;

class DriverService final : public v1::EngineDriver::Service {
 public:
  DriverService(EngineClient& engine, StateBoard& board, Writer& writer, RunOnWriter run)
      : engine_{engine}, board_{board}, writer_{writer}, run_{std::move(run)} {}

  grpc::Status GetState(grpc::ServerContext*, const v1::GetStateRequest*, v1::GetStateResponse*) override;
  grpc::Status WatchState(grpc::ServerContext*, const v1::WatchStateRequest*,
                          grpc::ServerWriter<v1::WatchStateResponse>*) override;
  grpc::Status GetCanonicalBlocks(grpc::ServerContext*, const v1::GetCanonicalBlocksRequest*,
                                  v1::GetCanonicalBlocksResponse*) override;
  grpc::Status ImportRange(grpc::ServerContext*, const v1::ImportRangeRequest*,
                           grpc::ServerWriter<v1::ImportRangeResponse>*) override;
  grpc::Status SetForkchoice(grpc::ServerContext*, const v1::SetForkchoiceRequest*,
                             v1::SetForkchoiceResponse*) override;
  grpc::Status Rewind(grpc::ServerContext*, const v1::RewindRequest*, v1::RewindResponse*) override;
  grpc::Status LowerFinalized(grpc::ServerContext*, const v1::LowerFinalizedRequest*,
                              v1::LowerFinalizedResponse*) override;

 private:
  EngineClient& engine_;
  StateBoard& board_;
  Writer& writer_;
  /// Whether an import of `c` has to end: a command of a newer term waits.
  bool outdated(const contract::CommandStamp& c) const { return newest_ > c.term; }
  /// Each command, before it waits for its turn.
  void note(const contract::CommandStamp& c);

  const RunOnWriter run_;
  wire::Watchers watchers_{64};
  std::atomic<std::uint64_t> newest_{0};
};

}  // namespace towline::driver
