// The gRPC service EngineDriver: converts messages to values for the actors, and their answers to messages. No call
// holds a thread.
#pragma once
#include "libs/actor_kit/published.hpp"
#include "libs/wire/watchers.hpp"
#include "services/engine-driver/actors/writer.hpp"
#include "towline/v1/engine_driver.grpc.pb.h"

namespace towline::driver {

class DriverService final : public v1::EngineDriver::CallbackService {
 public:
  struct Actors {
    caf::actor_system* system;
    writer_actor writer;
    state_hub_actor hub;
    /// For reads by others; not the actor that the writer uses.
    engine_actor reads;
  };
  DriverService(Actors actors, const Published<Shown>& latest) : actors_{std::move(actors)}, latest_{latest} {}

  grpc::ServerUnaryReactor* GetState(grpc::CallbackServerContext*, const v1::GetStateRequest*,
                                     v1::GetStateResponse*) override;
  grpc::ServerWriteReactor<v1::WatchStateResponse>* WatchState(grpc::CallbackServerContext*,
                                                               const v1::WatchStateRequest*) override;
  grpc::ServerUnaryReactor* GetCanonicalBlocks(grpc::CallbackServerContext*, const v1::GetCanonicalBlocksRequest*,
                                               v1::GetCanonicalBlocksResponse*) override;
  grpc::ServerWriteReactor<v1::ImportRangeResponse>* ImportRange(grpc::CallbackServerContext*,
                                                                 const v1::ImportRangeRequest*) override;
  grpc::ServerUnaryReactor* SetForkchoice(grpc::CallbackServerContext*, const v1::SetForkchoiceRequest*,
                                          v1::SetForkchoiceResponse*) override;
  grpc::ServerUnaryReactor* StartElSync(grpc::CallbackServerContext*, const v1::StartElSyncRequest*,
                                        v1::StartElSyncResponse*) override;
  grpc::ServerUnaryReactor* Rewind(grpc::CallbackServerContext*, const v1::RewindRequest*,
                                   v1::RewindResponse*) override;
  grpc::ServerUnaryReactor* LowerFinalized(grpc::CallbackServerContext*, const v1::LowerFinalizedRequest*,
                                           v1::LowerFinalizedResponse*) override;

 private:
  /// Runs a command with a single answer.
  template <class Response>
  grpc::ServerUnaryReactor* run(absl::StatusOr<Command> command, Response* response);

  const Actors actors_;
  const Published<Shown>& latest_;
  wire::Watchers watchers_{64};
};

}  // namespace towline::driver
