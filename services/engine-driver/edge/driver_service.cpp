#include "services/engine-driver/edge/driver_service.hpp"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>

#include "libs/base/status.hpp"
#include "libs/base/text.hpp"
#include "libs/wire/convert.hpp"
#include "libs/wire/engine_driver.hpp"

namespace towline::driver {
namespace {

constexpr int kMaxNumbers = 1024;
constexpr std::size_t kLongestReason = 256;

}  // namespace

void DriverService::note(const contract::CommandStamp& c) {
  // One that will be refused ends nothing.
  const contract::EngineState obeyed = board_.get();
  if (!check_term(c, {obeyed.authority, obeyed.term, {}}).ok()) return;
  std::uint64_t known = newest_;
  while (known < c.term && !newest_.compare_exchange_weak(known, c.term)) {
  }
}

grpc::Status DriverService::GetState(grpc::ServerContext*, const v1::GetStateRequest*, v1::GetStateResponse* resp) {
  *resp->mutable_state() = wire::to_proto(board_.get());
  return grpc::Status::OK;
}

grpc::Status DriverService::WatchState(grpc::ServerContext* ctx, const v1::WatchStateRequest*,
                                       grpc::ServerWriter<v1::WatchStateResponse>* out) {
  const auto place = watchers_.take();
  if (!place) return watchers_.refusal();
  std::uint64_t seen = 0;
  board_.watch_begins();
  const absl::Cleanup ends = [this] { board_.watch_ends(); };
  while (!ctx->IsCancelled() && !board_.stopped()) {
    v1::WatchStateResponse message;
    *message.mutable_state() = wire::to_proto(board_.wait(seen, std::chrono::seconds{1}));
    if (!out->Write(message)) break;
  }
  return {grpc::StatusCode::UNAVAILABLE, "shutting down"};
}

grpc::Status DriverService::GetCanonicalBlocks(grpc::ServerContext*, const v1::GetCanonicalBlocksRequest* req,
                                               v1::GetCanonicalBlocksResponse* resp) {
  if (req->numbers_size() > kMaxNumbers)
    return {grpc::StatusCode::INVALID_ARGUMENT, absl::StrCat("at most ", kMaxNumbers, " numbers")};
  std::vector<std::uint64_t> numbers{req->numbers().begin(), req->numbers().end()};
  std::sort(numbers.begin(), numbers.end());
  auto blocks = engine_.blocks_by_number(numbers);
  if (!blocks.ok()) return wire::to_grpc(blocks.status());
  for (const auto& b : *blocks) *resp->add_blocks() = wire::to_proto(b);
  return grpc::Status::OK;
}

grpc::Status DriverService::ImportRange(grpc::ServerContext* ctx, const v1::ImportRangeRequest* req,
                                        grpc::ServerWriter<v1::ImportRangeResponse>* out) {
  const auto command = wire::from_proto(req->command());
  if (!command.ok()) return wire::to_grpc(command.status());
  const auto range = wire::from_proto(*req);
  if (!range.ok()) return wire::to_grpc(range.status());
  absl::StatusOr<contract::CommandResult> result = absl::InternalError("not run");
  note(*command);
  const auto cancelled = [&] { return ctx->IsCancelled() || board_.stopped() || outdated(*command); };
  const absl::Status ran = run_([&] {
    if (cancelled()) {
      result = absl::CancelledError("cancelled before it began");
      return;
    }
    result = writer_.import_range(*command, *range, cancelled, [&](const contract::ImportProgress& p) {
      v1::ImportRangeResponse message;
      *message.mutable_progress() = wire::to_proto(p);
      out->Write(message);
    });
  });
  if (!ran.ok()) return wire::to_grpc(ran);
  if (!result.ok()) return wire::to_grpc(result.status());
  v1::ImportRangeResponse last;
  *last.mutable_result() = wire::to_proto(*result);
  out->Write(last);
  return grpc::Status::OK;
}

grpc::Status DriverService::SetForkchoice(grpc::ServerContext* ctx, const v1::SetForkchoiceRequest* req,
                                          v1::SetForkchoiceResponse* resp) {
  if (const auto command = wire::from_proto(req->command()); command.ok()) note(*command);
  absl::StatusOr<contract::CommandResult> result = absl::InternalError("not run");
  const absl::Status ran = run_([&] {
    const auto set = [&]() -> absl::StatusOr<contract::CommandResult> {
      TOWLINE_ASSIGN_OR_RETURN(const contract::CommandStamp command, wire::from_proto(req->command()));
      TOWLINE_ASSIGN_OR_RETURN(const contract::Forkchoice f, wire::from_proto(*req));
      return writer_.set_forkchoice(command, f, [&] { return ctx->IsCancelled() || board_.stopped(); });
    };
    result = set();
  });
  if (!ran.ok()) return wire::to_grpc(ran);
  if (!result.ok()) return wire::to_grpc(result.status());
  *resp->mutable_result() = wire::to_proto(*result);
  return grpc::Status::OK;
}

grpc::Status DriverService::Rewind(grpc::ServerContext*, const v1::RewindRequest* req, v1::RewindResponse* resp) {
  if (const auto command = wire::from_proto(req->command()); command.ok()) note(*command);
  absl::StatusOr<contract::CommandResult> result = absl::InternalError("not run");
  const absl::Status ran = run_([&] {
    const auto rewind = [&]() -> absl::StatusOr<contract::CommandResult> {
      TOWLINE_ASSIGN_OR_RETURN(const contract::CommandStamp command, wire::from_proto(req->command()));
      TOWLINE_ASSIGN_OR_RETURN(const eth::BlockId to, wire::from_proto(req->to()));
      return writer_.rewind(command, to);
    };
    result = rewind();
  });
  if (!ran.ok()) return wire::to_grpc(ran);
  if (!result.ok()) return wire::to_grpc(result.status());
  *resp->mutable_result() = wire::to_proto(*result);
  return grpc::Status::OK;
}

grpc::Status DriverService::LowerFinalized(grpc::ServerContext*, const v1::LowerFinalizedRequest* req,
                                           v1::LowerFinalizedResponse* resp) {
  absl::StatusOr<contract::CommandResult> result = absl::InternalError("not run");
  const absl::Status ran = run_([&] {
    const auto lower = [&]() -> absl::StatusOr<contract::CommandResult> {
      TOWLINE_ASSIGN_OR_RETURN(const eth::BlockId was, wire::from_proto(req->was()));
      TOWLINE_ASSIGN_OR_RETURN(const eth::BlockId to, wire::from_proto(req->to()));
      return writer_.lower_finalized(was, to, cut_text(req->reason(), kLongestReason));
    };
    result = lower();
  });
  if (!ran.ok()) return wire::to_grpc(ran);
  if (!result.ok()) return wire::to_grpc(result.status());
  *resp->mutable_result() = wire::to_proto(*result);
  return grpc::Status::OK;
}

}  // namespace towline::driver
