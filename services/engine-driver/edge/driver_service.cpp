#include "services/engine-driver/edge/driver_service.hpp"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>

#include "libs/base/status.hpp"
#include "libs/base/text.hpp"
#include "libs/wire/convert.hpp"

namespace towline::driver {
namespace {

constexpr int kMaxNumbers = 1024;
constexpr std::size_t kLongestReason = 256;

absl::StatusOr<Command> command_from(const v1::Command& c) {
  Command out{c.authority(), c.epoch(), {}};
  if (c.chain_time_ms() != 0) out.chain_time = absl::FromUnixMillis(static_cast<std::int64_t>(c.chain_time_ms()));
  TOWLINE_ASSIGN_OR_RETURN(out.expected_head, wire::hash_from(c.expected_head(), "command.expected_head"));
  return out;
}

absl::Status read_label(bool has, const v1::BlockId& b, std::optional<eth::BlockId>& out) {
  if (!has) return absl::OkStatus();
  TOWLINE_ASSIGN_OR_RETURN(out, wire::from_proto(b));
  return absl::OkStatus();
}

template <class Message>
void write(const CommandResult& r, Message& out) {
  out.set_outcome(to_proto(r.outcome));
  out.set_reason(r.reason);
  *out.mutable_labels() = to_proto(r.labels);
  if (r.refusal) out.set_refusal(to_proto(*r.refusal));
}

}  // namespace

void DriverService::note(const Command& c) {
  // One that will be refused ends nothing.
  if (!check_epoch(c, board_.get().persistent).ok()) return;
  std::uint64_t known = newest_;
  while (known < c.epoch && !newest_.compare_exchange_weak(known, c.epoch)) {
  }
}

grpc::Status DriverService::GetState(grpc::ServerContext*, const v1::GetStateRequest*, v1::GetStateResponse* resp) {
  *resp->mutable_state() = to_proto(board_.get());
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
    *message.mutable_state() = to_proto(board_.wait(seen, std::chrono::seconds{1}));
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
  const auto parse = [&](Command& c, ImportPlan::Range& r) -> absl::Status {
    TOWLINE_ASSIGN_OR_RETURN(c, command_from(req->command()));
    TOWLINE_ASSIGN_OR_RETURN(r.parent, wire::from_proto(req->parent()));
    TOWLINE_ASSIGN_OR_RETURN(r.tip, wire::from_proto(req->tip()));
    r.from_gossip = req->origin() == v1::PAYLOAD_ORIGIN_GOSSIP;
    TOWLINE_RETURN_IF_ERROR(read_label(req->has_safe(), req->safe(), r.safe));
    return read_label(req->has_finalized(), req->finalized(), r.finalized);
  };
  Command command;
  ImportPlan::Range range;
  if (auto st = parse(command, range); !st.ok()) return wire::to_grpc(st);
  absl::StatusOr<CommandResult> result = absl::InternalError("not run");
  note(command);
  const auto cancelled = [&] { return ctx->IsCancelled() || board_.stopped() || outdated(command); };
  const absl::Status ran = run_([&] {
    if (cancelled()) {
      result = absl::CancelledError("cancelled before it began");
      return;
    }
    result = writer_.import_range(command, range, cancelled, [&](const ImportProgress& p) {
      v1::ImportRangeResponse message;
      *message.mutable_progress() = to_proto(p);
      out->Write(message);
    });
  });
  if (!ran.ok()) return wire::to_grpc(ran);
  if (!result.ok()) return wire::to_grpc(result.status());
  v1::ImportRangeResponse last;
  write(*result, last);
  if (result->block) *last.mutable_block() = wire::to_proto(*result->block);
  out->Write(last);
  return grpc::Status::OK;
}

grpc::Status DriverService::ImportPayload(grpc::ServerContext* ctx, const v1::ImportPayloadRequest* req,
                                          v1::ImportPayloadResponse* resp) {
  absl::StatusOr<CommandResult> result = absl::InternalError("not run");
  const absl::Status ran = run_([&] {
    const auto import = [&]() -> absl::StatusOr<CommandResult> {
      TOWLINE_ASSIGN_OR_RETURN(const Command command, command_from(req->command()));
      TOWLINE_ASSIGN_OR_RETURN(const eth::BlockId tip, wire::from_proto(req->block()));
      if (tip.number == 0) return absl::InvalidArgumentError("block 0 cannot be imported");
      const ImportPlan::Range range{{tip.number - 1, command.expected_head}, tip, {}, {}};
      return writer_.import_range(
          command, range, [&] { return ctx->IsCancelled() || board_.stopped(); }, [](const ImportProgress&) {});
    };
    result = import();
  });
  if (!ran.ok()) return wire::to_grpc(ran);
  if (!result.ok()) return wire::to_grpc(result.status());
  write(*result, *resp);
  return grpc::Status::OK;
}

grpc::Status DriverService::SetForkchoice(grpc::ServerContext* ctx, const v1::SetForkchoiceRequest* req,
                                          v1::SetForkchoiceResponse* resp) {
  if (const auto command = command_from(req->command()); command.ok()) note(*command);
  absl::StatusOr<CommandResult> result = absl::InternalError("not run");
  const absl::Status ran = run_([&] {
    const auto set = [&]() -> absl::StatusOr<CommandResult> {
      TOWLINE_ASSIGN_OR_RETURN(const Command command, command_from(req->command()));
      Forkchoice f;
      TOWLINE_ASSIGN_OR_RETURN(f.head, wire::from_proto(req->head()));
      TOWLINE_RETURN_IF_ERROR(read_label(req->has_safe(), req->safe(), f.safe));
      TOWLINE_RETURN_IF_ERROR(read_label(req->has_finalized(), req->finalized(), f.finalized));
      return writer_.set_forkchoice(command, f, [&] { return ctx->IsCancelled() || board_.stopped(); });
    };
    result = set();
  });
  if (!ran.ok()) return wire::to_grpc(ran);
  if (!result.ok()) return wire::to_grpc(result.status());
  write(*result, *resp);
  return grpc::Status::OK;
}

grpc::Status DriverService::Rewind(grpc::ServerContext*, const v1::RewindRequest* req, v1::RewindResponse* resp) {
  if (const auto command = command_from(req->command()); command.ok()) note(*command);
  absl::StatusOr<CommandResult> result = absl::InternalError("not run");
  const absl::Status ran = run_([&] {
    const auto rewind = [&]() -> absl::StatusOr<CommandResult> {
      TOWLINE_ASSIGN_OR_RETURN(const Command command, command_from(req->command()));
      TOWLINE_ASSIGN_OR_RETURN(const eth::BlockId to, wire::from_proto(req->to()));
      return writer_.rewind(command, to);
    };
    result = rewind();
  });
  if (!ran.ok()) return wire::to_grpc(ran);
  if (!result.ok()) return wire::to_grpc(result.status());
  write(*result, *resp);
  return grpc::Status::OK;
}

grpc::Status DriverService::LowerFinalized(grpc::ServerContext*, const v1::LowerFinalizedRequest* req,
                                           v1::LowerFinalizedResponse* resp) {
  absl::StatusOr<CommandResult> result = absl::InternalError("not run");
  const absl::Status ran = run_([&] {
    const auto lower = [&]() -> absl::StatusOr<CommandResult> {
      TOWLINE_ASSIGN_OR_RETURN(const eth::BlockId was, wire::from_proto(req->was()));
      TOWLINE_ASSIGN_OR_RETURN(const eth::BlockId to, wire::from_proto(req->to()));
      return writer_.lower_finalized(was, to, cut_text(req->reason(), kLongestReason));
    };
    result = lower();
  });
  if (!ran.ok()) return wire::to_grpc(ran);
  if (!result.ok()) return wire::to_grpc(result.status());
  write(*result, *resp);
  return grpc::Status::OK;
}

}  // namespace towline::driver
