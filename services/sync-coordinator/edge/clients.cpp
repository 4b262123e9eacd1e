#include "services/sync-coordinator/edge/clients.hpp"

#include <absl/strings/str_cat.h>
#include <grpcpp/grpcpp.h>

#include <mutex>
#include <set>

#include "libs/base/status.hpp"
#include "libs/base/steady_time.hpp"
#include "libs/wire/convert.hpp"
#include "services/engine-driver/edge/driver_proto.hpp"
#include "towline/v1/engine_driver.grpc.pb.h"
#include "towline/v1/p2p_gossip.grpc.pb.h"
#include "towline/v1/remote_fetcher.grpc.pb.h"

namespace towline::coordinator {
namespace {

constexpr auto kUnaryDeadline = std::chrono::seconds{30};
/// Both watches speak at least once a second or poll interval; an import speaks several times a second, but one payload
/// may take long.
constexpr auto kWatchDeadline = std::chrono::seconds{60};
/// It answers from memory, and the watch of the heads waits for it.
constexpr auto kSourcesDeadline = std::chrono::seconds{2};

/// The contexts of the calls in flight, so that stop() can end them.
class Calls {
 public:
  class Call {
   public:
    explicit Call(Calls& calls) : calls_{calls} {
      std::lock_guard lock{calls_.mutex_};
      calls_.open_.insert(&context);
      if (calls_.stopped_) context.TryCancel();
    }
    ~Call() {
      std::lock_guard lock{calls_.mutex_};
      calls_.open_.erase(&context);
    }
    grpc::ClientContext context;

   private:
    Calls& calls_;
  };
  void stop() {
    std::lock_guard lock{mutex_};
    stopped_ = true;
    for (auto* c : open_) c->TryCancel();
  }

 private:
  std::mutex mutex_;
  std::set<grpc::ClientContext*> open_;
  bool stopped_ = false;
};

void set_deadline(grpc::ClientContext& c, std::chrono::seconds s) {
  c.set_deadline(std::chrono::system_clock::now() + s);
}

absl::Status read(bool has, const v1::BlockRef& b, std::optional<eth::BlockRef>& out) {
  out.reset();
  if (!has) return absl::OkStatus();
  TOWLINE_ASSIGN_OR_RETURN(out, wire::from_proto(b));
  return absl::OkStatus();
}

fetcher::Kind kind_from(v1::EndpointKind k) {
  return k == v1::ENDPOINT_KIND_CL ? fetcher::Kind::cl : fetcher::Kind::el;
}

fetcher::Hold hold_from(v1::Hold h) {
  switch (h) {
    case v1::HOLD_QUORUM_LOST: return fetcher::Hold::quorum_lost;
    case v1::HOLD_SOURCES_DISAGREE: return fetcher::Hold::sources_disagree;
    default: return fetcher::Hold::none;
  }
}

absl::StatusOr<driver::Labels> labels_from(const v1::Labels& l) {
  driver::Labels out;
  TOWLINE_RETURN_IF_ERROR(read(l.has_latest(), l.latest(), out.latest));
  TOWLINE_RETURN_IF_ERROR(read(l.has_safe(), l.safe(), out.safe));
  TOWLINE_RETURN_IF_ERROR(read(l.has_finalized(), l.finalized(), out.finalized));
  return out;
}

driver::EngineStatus status_from(v1::EngineStatus s) {
  switch (s) {
    case v1::ENGINE_STATUS_READY: return driver::EngineStatus::ready;
    case v1::ENGINE_STATUS_UNREACHABLE: return driver::EngineStatus::unreachable;
    case v1::ENGINE_STATUS_AUTH_FAILED: return driver::EngineStatus::auth_failed;
    case v1::ENGINE_STATUS_WRONG_CHAIN: return driver::EngineStatus::wrong_chain;
    case v1::ENGINE_STATUS_SYNCING: return driver::EngineStatus::syncing;
    case v1::ENGINE_STATUS_INVALID: return driver::EngineStatus::invalid;
    case v1::ENGINE_STATUS_NOT_AN_ENGINE: return driver::EngineStatus::not_an_engine;
    case v1::ENGINE_STATUS_DRIVEN_ELSEWHERE: return driver::EngineStatus::driven_elsewhere;
    case v1::ENGINE_STATUS_BESIDE_FENCE: return driver::EngineStatus::beside_fence;
    case v1::ENGINE_STATUS_STATE_NOT_SAVED: return driver::EngineStatus::state_not_saved;
    default: return driver::EngineStatus::starting;
  }
}

absl::StatusOr<driver::ImportProgress> progress_from(const v1::ImportProgress& p) {
  driver::ImportProgress out;
  TOWLINE_ASSIGN_OR_RETURN(out.imported, wire::from_proto(p.imported()));
  TOWLINE_ASSIGN_OR_RETURN(out.tip, wire::from_proto(p.tip()));
  out.blocks = p.blocks();
  out.transactions = p.transactions();
  out.gas_used = p.gas_used();
  out.bytes = p.bytes();
  out.elapsed_s = p.elapsed_s();
  out.blocks_per_s = p.blocks_per_s();
  out.mgas_per_s = p.mgas_per_s();
  return out;
}

absl::StatusOr<driver::DriverState> state_from(const v1::DriverState& s) {
  driver::DriverState out;
  out.status = status_from(s.status());
  out.reason = s.reason();
  TOWLINE_ASSIGN_OR_RETURN(out.labels, labels_from(s.labels()));
  out.persistent.authority = s.authority();
  out.persistent.epoch = s.epoch();
  if (s.has_fence()) {
    TOWLINE_ASSIGN_OR_RETURN(out.persistent.fence, wire::from_proto(s.fence()));
  }
  out.client_version = s.client_version();
  out.can_rewind = s.can_rewind();
  out.rewind_for_single_source = s.rewind_for_single_source();
  if (s.has_genesis()) {
    TOWLINE_ASSIGN_OR_RETURN(out.genesis, wire::from_proto(s.genesis()));
  }
  if (s.has_import()) {
    TOWLINE_ASSIGN_OR_RETURN(out.import, progress_from(s.import()));
  }
  out.engine_session = s.engine_session();
  out.watchers = s.watchers();
  out.idle = absl::Milliseconds(static_cast<std::int64_t>(s.idle_ms()));
  return out;
}

absl::StatusOr<driver::Outcome> outcome_from(v1::Outcome o) {
  switch (o) {
    case v1::OUTCOME_DONE: return driver::Outcome::done;
    case v1::OUTCOME_MISSING_STATE: return driver::Outcome::missing_state;
    case v1::OUTCOME_INVALID: return driver::Outcome::invalid;
    case v1::OUTCOME_NOT_APPLIED: return driver::Outcome::not_applied;
    case v1::OUTCOME_ENGINE_UNAVAILABLE: return driver::Outcome::engine_unavailable;
    case v1::OUTCOME_SOURCE_UNAVAILABLE: return driver::Outcome::source_unavailable;
    case v1::OUTCOME_SOURCE_REORGED: return driver::Outcome::source_reorged;
    case v1::OUTCOME_UNSUPPORTED: return driver::Outcome::unsupported;
    case v1::OUTCOME_CANCELLED: return driver::Outcome::cancelled;
    case v1::OUTCOME_CONTRADICTS_FINALIZED: return driver::Outcome::contradicts_finalized;
    case v1::OUTCOME_REFUSED: return driver::Outcome::refused;
    default: return absl::UnavailableError("the engine-driver ended without an outcome");
  }
}

/// One that a newer driver knows and we do not: it stays refused.
std::optional<driver::Refusal> refusal_from(v1::Refusal r) {
  for (const driver::Refusal known : driver::kRefusals) {
    if (driver::to_proto(known) == r) return known;
  }
  return std::nullopt;
}

template <class Message>
absl::StatusOr<driver::CommandResult> result_from(const Message& m) {
  driver::CommandResult r;
  TOWLINE_ASSIGN_OR_RETURN(r.outcome, outcome_from(m.outcome()));
  r.reason = m.reason();
  TOWLINE_ASSIGN_OR_RETURN(r.labels, labels_from(m.labels()));
  r.refusal = refusal_from(m.refusal());
  return r;
}

void write(const driver::Command& c, v1::Command& out) {
  out.set_authority(c.authority);
  out.set_epoch(c.epoch);
  out.set_expected_head(to_string(c.expected_head.view()));
  if (c.chain_time != absl::InfinitePast())
    out.set_chain_time_ms(static_cast<std::uint64_t>(absl::ToUnixMillis(c.chain_time)));
}

class GrpcDriver final : public DriverClient {
 public:
  explicit GrpcDriver(std::shared_ptr<grpc::Channel> channel) : stub_{v1::EngineDriver::NewStub(channel)} {}

  absl::StatusOr<std::vector<eth::BlockRef>> canonical_blocks(const std::vector<std::uint64_t>& numbers) override {
    Calls::Call call{calls_};
    set_deadline(call.context, kUnaryDeadline);
    v1::GetCanonicalBlocksRequest request;
    request.mutable_numbers()->Add(numbers.begin(), numbers.end());
    v1::GetCanonicalBlocksResponse response;
    TOWLINE_RETURN_IF_ERROR(wire::from_grpc(stub_->GetCanonicalBlocks(&call.context, request, &response)));
    std::vector<eth::BlockRef> out;
    for (const auto& b : response.blocks()) {
      TOWLINE_ASSIGN_OR_RETURN(auto ref, wire::from_proto(b));
      out.push_back(ref);
    }
    return out;
  }

  absl::StatusOr<driver::CommandResult> import(const Import& e) override {
    Calls::Call call{calls_};
    v1::ImportRangeRequest request;
    write(e.command, *request.mutable_command());
    *request.mutable_parent() = wire::to_proto(e.range.parent);
    *request.mutable_tip() = wire::to_proto(e.range.tip);
    if (e.range.from_gossip) request.set_origin(v1::PAYLOAD_ORIGIN_GOSSIP);
    if (e.range.safe) *request.mutable_safe() = wire::to_proto(*e.range.safe);
    if (e.range.finalized) *request.mutable_finalized() = wire::to_proto(*e.range.finalized);
    auto reader = stub_->ImportRange(&call.context, request);
    v1::ImportRangeResponse message;
    v1::ImportRangeResponse last;
    while (reader->Read(&message)) {
      if (message.outcome() != v1::OUTCOME_UNSPECIFIED) last = message;
    }
    TOWLINE_RETURN_IF_ERROR(wire::from_grpc(reader->Finish()));
    TOWLINE_ASSIGN_OR_RETURN(auto r, result_from(last));
    if (last.has_block()) {
      TOWLINE_ASSIGN_OR_RETURN(r.block, wire::from_proto(last.block()));
    }
    return r;
  }

  absl::StatusOr<driver::CommandResult> set_forkchoice(const SetForkchoice& e) override {
    Calls::Call call{calls_};
    set_deadline(call.context, kUnaryDeadline * 4);
    v1::SetForkchoiceRequest request;
    write(e.command, *request.mutable_command());
    *request.mutable_head() = wire::to_proto(e.forkchoice.head);
    if (e.forkchoice.safe) *request.mutable_safe() = wire::to_proto(*e.forkchoice.safe);
    if (e.forkchoice.finalized) *request.mutable_finalized() = wire::to_proto(*e.forkchoice.finalized);
    v1::SetForkchoiceResponse response;
    TOWLINE_RETURN_IF_ERROR(wire::from_grpc(stub_->SetForkchoice(&call.context, request, &response)));
    return result_from(response);
  }

  absl::StatusOr<driver::CommandResult> rewind(const Rewind& e) override {
    Calls::Call call{calls_};
    set_deadline(call.context, kUnaryDeadline * 4);
    v1::RewindRequest request;
    write(e.command, *request.mutable_command());
    *request.mutable_to() = wire::to_proto(e.to);
    v1::RewindResponse response;
    TOWLINE_RETURN_IF_ERROR(wire::from_grpc(stub_->Rewind(&call.context, request, &response)));
    return result_from(response);
  }

  absl::Status watch(const std::function<void(const driver::DriverState&)>& on_state) override {
    Calls::Call call{calls_};
    auto reader = stub_->WatchState(&call.context, {});
    v1::WatchStateResponse message;
    while (reader->Read(&message)) {
      TOWLINE_ASSIGN_OR_RETURN(const auto state, state_from(message.state()));
      on_state(state);
    }
    const auto end = wire::from_grpc(reader->Finish());
    return end.ok() ? absl::UnavailableError("the stream ended") : end;
  }

  void stop() override { calls_.stop(); }

 private:
  std::unique_ptr<v1::EngineDriver::Stub> stub_;
  Calls calls_;
};

class GrpcFetcher final : public FetcherClient {
 public:
  explicit GrpcFetcher(std::shared_ptr<grpc::Channel> channel) : stub_{v1::RemoteFetcher::NewStub(channel)} {}

  absl::StatusOr<std::vector<eth::BlockRef>> headers(const std::vector<std::uint64_t>& numbers,
                                                     const std::string& endpoint) override {
    Calls::Call call{calls_};
    set_deadline(call.context, kUnaryDeadline);
    v1::GetHeadersRequest request;
    request.mutable_numbers()->Add(numbers.begin(), numbers.end());
    request.set_endpoint(endpoint);
    v1::GetHeadersResponse response;
    TOWLINE_RETURN_IF_ERROR(wire::from_grpc(stub_->GetHeaders(&call.context, request, &response)));
    std::vector<eth::BlockRef> out;
    for (const auto& h : response.headers()) {
      TOWLINE_ASSIGN_OR_RETURN(auto ref, wire::from_proto(h));
      out.push_back(ref);
    }
    return out;
  }

  absl::StatusOr<std::vector<Witness::OtherHead>> sources() override {
    Calls::Call call{calls_};
    set_deadline(call.context, kSourcesDeadline);
    v1::ListEndpointsResponse response;
    TOWLINE_RETURN_IF_ERROR(wire::from_grpc(stub_->ListEndpoints(&call.context, {}, &response)));
    std::vector<Witness::OtherHead> out;
    for (const auto& e : response.endpoints()) {
      if (e.state() != v1::ENDPOINT_STATE_READY || !e.heads().has_unsafe()) continue;
      TOWLINE_ASSIGN_OR_RETURN(const auto head, wire::from_proto(e.heads().unsafe()));
      out.push_back({head.number, head.hash});
    }
    return out;
  }

  absl::Status watch(const std::optional<eth::BlockId>& anchor,
                     const std::function<void(const fetcher::HeadSnapshot&)>& on_snapshot,
                     const std::function<void(const fetcher::SourceTrouble&)>& on_trouble,
                     const std::function<bool()>& enough) override {
    Calls::Call call{calls_};
    // Opened again with a newer anchor each time.
    set_deadline(call.context, kWatchDeadline);
    v1::WatchHeadsRequest request;
    if (anchor) *request.mutable_anchor() = wire::to_proto(*anchor);
    auto reader = stub_->WatchHeads(&call.context, request);
    v1::WatchHeadsResponse message;
    while (reader->Read(&message)) {
      if (enough()) {
        call.context.TryCancel();
        reader->Finish();
        return absl::OkStatus();
      }
      const fetcher::SourceTrouble trouble{message.trouble().code(), message.trouble().message()};
      if (!message.has_snapshot()) {
        on_trouble(trouble);
        continue;
      }
      const auto& m = message.snapshot();
      fetcher::HeadSnapshot s;
      if (message.has_trouble()) s.blocks_trouble = trouble;
      s.endpoint = m.endpoint();
      s.kind = kind_from(m.kind());
      for (const auto& other : m.others()) {
        fetcher::Lead& lead = s.others.emplace_back(fetcher::Lead{other.endpoint(), kind_from(other.kind()), {}});
        TOWLINE_ASSIGN_OR_RETURN(lead.unsafe, wire::from_proto(other.unsafe()));
      }
      TOWLINE_RETURN_IF_ERROR(read(m.has_unsafe(), m.unsafe(), s.unsafe));
      TOWLINE_RETURN_IF_ERROR(read(m.has_local_safe(), m.local_safe(), s.local_safe));
      TOWLINE_RETURN_IF_ERROR(read(m.has_safe(), m.safe(), s.safe));
      TOWLINE_RETURN_IF_ERROR(read(m.has_finalized(), m.finalized(), s.finalized));
      TOWLINE_RETURN_IF_ERROR(read(m.has_current_l1(), m.current_l1(), s.current_l1));
      s.safe_hold = hold_from(m.safe_hold());
      s.finalized_hold = hold_from(m.finalized_hold());
      s.observed = steady_now() - absl::Milliseconds(m.age_ms());
      s.groups = m.groups();
      s.agree = m.groups_agree();
      if (m.has_agreed()) {
        TOWLINE_ASSIGN_OR_RETURN(s.agreed, wire::from_proto(m.agreed()));
      }
      if (m.chain_time_ms() != 0) s.chain_time = absl::FromUnixMillis(static_cast<std::int64_t>(m.chain_time_ms()));
      s.contradicts_anchor = m.contradicts_anchor();
      s.unknown_rules = m.unknown_rules();
      on_snapshot(s);
    }
    const auto end = wire::from_grpc(reader->Finish());
    return end.ok() ? absl::UnavailableError("the stream ended") : end;
  }

  void stop() override { calls_.stop(); }

 private:
  std::unique_ptr<v1::RemoteFetcher::Stub> stub_;
  Calls calls_;
};

class GrpcGossip final : public GossipClient {
 public:
  explicit GrpcGossip(std::shared_ptr<grpc::Channel> channel) : stub_{v1::P2PGossip::NewStub(channel)} {}

  absl::Status watch(const std::function<void(const std::optional<eth::BlockRef>&)>& on_block) override {
    Calls::Call call{calls_};
    auto reader = stub_->WatchBlocks(&call.context, {});
    v1::WatchBlocksResponse message;
    while (reader->Read(&message)) {
      if (!message.has_block()) {
        on_block(std::nullopt);
        continue;
      }
      TOWLINE_ASSIGN_OR_RETURN(const auto block, wire::from_proto(message.block().block()));
      on_block(block);
    }
    const auto end = wire::from_grpc(reader->Finish());
    return end.ok() ? absl::UnavailableError("the stream ended") : end;
  }

  void stop() override { calls_.stop(); }

 private:
  std::unique_ptr<v1::P2PGossip::Stub> stub_;
  Calls calls_;
};

}  // namespace

std::unique_ptr<GossipClient> make_gossip_client(std::shared_ptr<grpc::Channel> channel) {
  return std::make_unique<GrpcGossip>(std::move(channel));
}
std::unique_ptr<DriverClient> make_driver_client(std::shared_ptr<grpc::Channel> channel) {
  return std::make_unique<GrpcDriver>(std::move(channel));
}
std::unique_ptr<FetcherClient> make_fetcher_client(std::shared_ptr<grpc::Channel> channel) {
  return std::make_unique<GrpcFetcher>(std::move(channel));
}

}  // namespace towline::coordinator
