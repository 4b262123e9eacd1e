#include "services/engine-driver/edge/driver_service.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <caf/event_based_actor.hpp>

#include "libs/base/status.hpp"
#include "libs/base/steady_time.hpp"
#include "libs/base/text.hpp"
#include "libs/grpc_kit/server_calls.hpp"
#include "libs/grpc_kit/watch.hpp"
#include "libs/wire/convert.hpp"
#include "libs/wire/engine_driver.hpp"

namespace towline::driver {
namespace {

constexpr int kMaxNumbers = 1024;
constexpr std::size_t kLongestReason = 256;
/// Generous for kMaxNumbers blocks from an EL that answers at all.
constexpr auto kReadWithin = std::chrono::seconds{60};

absl::StatusOr<Command> command_of(const v1::SetForkchoiceRequest& request) {
  TOWLINE_ASSIGN_OR_RETURN(contract::CommandStamp stamp, wire::from_proto(request.command()));
  TOWLINE_ASSIGN_OR_RETURN(const contract::Forkchoice f, wire::from_proto(request));
  return Command{std::move(stamp), f, {}, {}};
}

absl::StatusOr<Command> command_of(const v1::StartElSyncRequest& request) {
  TOWLINE_ASSIGN_OR_RETURN(contract::CommandStamp stamp, wire::from_proto(request.command()));
  TOWLINE_ASSIGN_OR_RETURN(const contract::StartElSync start, wire::from_proto(request));
  return Command{std::move(stamp), start, {}, {}};
}

absl::StatusOr<Command> command_of(const v1::RewindRequest& request) {
  TOWLINE_ASSIGN_OR_RETURN(contract::CommandStamp stamp, wire::from_proto(request.command()));
  TOWLINE_ASSIGN_OR_RETURN(const eth::BlockId to, wire::from_proto(request.to()));
  return Command{std::move(stamp), RewindTo{to}, {}, {}};
}

absl::StatusOr<Command> command_of(const v1::LowerFinalizedRequest& request) {
  TOWLINE_ASSIGN_OR_RETURN(const eth::BlockId was, wire::from_proto(request.was()));
  TOWLINE_ASSIGN_OR_RETURN(const eth::BlockId to, wire::from_proto(request.to()));
  return Command{{}, LowerFinalized{was, to, cut_text(request.reason(), kLongestReason)}, {}, {}};
}

absl::StatusOr<Command> command_of(const v1::ImportRangeRequest& request) {
  TOWLINE_ASSIGN_OR_RETURN(contract::CommandStamp stamp, wire::from_proto(request.command()));
  TOWLINE_ASSIGN_OR_RETURN(const contract::ImportRange range, wire::from_proto(request));
  return Command{std::move(stamp), range, {}, {}};
}

}  // namespace

grpc::ServerUnaryReactor* DriverService::GetState(grpc::CallbackServerContext* context, const v1::GetStateRequest*,
                                                  v1::GetStateResponse* response) {
  *response->mutable_state() = wire::to_proto(state_at(*latest_.get(), steady_now()));
  return grpc_kit::answer(context);
}

grpc::ServerWriteReactor<v1::WatchStateResponse>* DriverService::WatchState(grpc::CallbackServerContext*,
                                                                            const v1::WatchStateRequest*) {
  auto place = std::make_shared<wire::Watchers::Place>(watchers_.take());
  if (!*place) return grpc_kit::refuse<v1::WatchStateResponse>(watchers_.refusal());
  return grpc_kit::watch<v1::WatchStateResponse, contract::EngineState>(std::move(place), actors_.hub,
                                                                        [](const contract::EngineState& s) {
                                                                          v1::WatchStateResponse message;
                                                                          *message.mutable_state() = wire::to_proto(s);
                                                                          return message;
                                                                        });
}

grpc::ServerUnaryReactor* DriverService::GetCanonicalBlocks(grpc::CallbackServerContext* context,
                                                            const v1::GetCanonicalBlocksRequest* request,
                                                            v1::GetCanonicalBlocksResponse* response) {
  if (request->numbers_size() > kMaxNumbers)
    return grpc_kit::answer(context,
                            {grpc::StatusCode::INVALID_ARGUMENT, absl::StrCat("at most ", kMaxNumbers, " numbers")});
  auto numbers = std::make_shared<std::vector<std::uint64_t>>(request->numbers().begin(), request->numbers().end());
  std::sort(numbers->begin(), numbers->end());
  const auto call = grpc_kit::UnaryCall<v1::GetCanonicalBlocksResponse>::make(response);
  actors_.system->spawn([call, reads = actors_.reads, numbers = NumbersPtr{numbers}](caf::event_based_actor* self) {
    self->request(reads, kReadWithin, blocks_atom{}, numbers)
        .then(
            [call](const BlocksPtr& blocks) {
              if (!blocks->ok()) return call->fail(wire::to_grpc(blocks->status()));
              v1::GetCanonicalBlocksResponse out;
              for (const auto& b : **blocks) *out.add_blocks() = wire::to_proto(b);
              call->finish(std::move(out));
            },
            [call](const caf::error&) {
              call->fail({grpc::StatusCode::DEADLINE_EXCEEDED, "the EL did not answer in time"});
            });
  });
  return call.get();
}

grpc::ServerWriteReactor<v1::ImportRangeResponse>* DriverService::ImportRange(grpc::CallbackServerContext*,
                                                                              const v1::ImportRangeRequest* request) {
  auto parsed = command_of(*request);
  if (!parsed.ok()) return grpc_kit::refuse<v1::ImportRangeResponse>(wire::to_grpc(parsed.status()));
  using Stream = grpc_kit::StreamCall<v1::ImportRangeResponse>;
  const auto slot = std::make_shared<std::weak_ptr<const Command>>();
  const auto call = Stream::make({{}, [slot, writer = actors_.writer] {
                                    if (const CommandPtr c = slot->lock()) caf::anon_send(writer, cancel_atom{}, c);
                                  }});
  parsed->on_progress = [call](const contract::ImportProgress& p) {
    v1::ImportRangeResponse message;
    *message.mutable_progress() = wire::to_proto(p);
    call->offer(std::move(message));
  };
  parsed->on_done = [call](absl::StatusOr<contract::CommandResult> result) {
    if (result.ok()) {
      v1::ImportRangeResponse last;
      *last.mutable_result() = wire::to_proto(*result);
      call->push(std::move(last));
    }
    call->close(wire::to_grpc(result.status()));
  };
  const auto command = std::make_shared<const Command>(*std::move(parsed));
  *slot = command;
  caf::anon_send(actors_.writer, run_atom{}, command);
  return call.get();
}

template <class Response>
grpc::ServerUnaryReactor* DriverService::run(absl::StatusOr<Command> command, Response* response) {
  const auto slot = std::make_shared<std::weak_ptr<const Command>>();
  const auto call = grpc_kit::UnaryCall<Response>::make(response, [slot, writer = actors_.writer] {
    if (const CommandPtr c = slot->lock()) caf::anon_send(writer, cancel_atom{}, c);
  });
  if (!command.ok()) {
    call->fail(wire::to_grpc(command.status()));
    return call.get();
  }
  command->on_done = [call](absl::StatusOr<contract::CommandResult> result) {
    if (!result.ok()) return call->fail(wire::to_grpc(result.status()));
    Response out;
    *out.mutable_result() = wire::to_proto(*result);
    call->finish(std::move(out));
  };
  const auto sent = std::make_shared<const Command>(*std::move(command));
  *slot = sent;
  caf::anon_send(actors_.writer, run_atom{}, sent);
  return call.get();
}

grpc::ServerUnaryReactor* DriverService::SetForkchoice(grpc::CallbackServerContext*,
                                                       const v1::SetForkchoiceRequest* request,
                                                       v1::SetForkchoiceResponse* response) {
  return run(command_of(*request), response);
}

grpc::ServerUnaryReactor* DriverService::StartElSync(grpc::CallbackServerContext*,
                                                     const v1::StartElSyncRequest* request,
                                                     v1::StartElSyncResponse* response) {
  return run(command_of(*request), response);
}

grpc::ServerUnaryReactor* DriverService::Rewind(grpc::CallbackServerContext*, const v1::RewindRequest* request,
                                                v1::RewindResponse* response) {
  return run(command_of(*request), response);
}

grpc::ServerUnaryReactor* DriverService::LowerFinalized(grpc::CallbackServerContext*,
                                                        const v1::LowerFinalizedRequest* request,
                                                        v1::LowerFinalizedResponse* response) {
  return run(command_of(*request), response);
}

}  // namespace towline::driver
