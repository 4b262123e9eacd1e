#include "services/sync-coordinator/edge/clients.hpp"

#include <chrono>

#include "libs/base/status.hpp"
#include "libs/base/steady_time.hpp"
#include "libs/wire/convert.hpp"
#include "libs/wire/engine_driver.hpp"
#include "libs/wire/remote_fetcher.hpp"
#include "towline/v1/engine_driver.grpc.pb.h"
#include "towline/v1/p2p_gossip.grpc.pb.h"
#include "towline/v1/remote_fetcher.grpc.pb.h"

namespace towline::coordinator {
namespace {

using std::chrono::seconds;

constexpr seconds kReadWithin{30};
/// engine-driver gives a command up earlier than this.
constexpr seconds kCommandWithin{120};
/// remote-fetcher sends heads at least once per poll interval. The watch is reopened after this time, with a newer
/// confirmed finalized block.
constexpr seconds kHeadsFor{60};
/// remote-fetcher answers from memory.
constexpr seconds kSourcesWithin{2};

using CallsPtr = std::shared_ptr<grpc_kit::OpenCalls>;

/// A unary call; `read` converts the response. `start` is called as start(context, request, response, callback).
template <class Request, class Response, class T, class Start, class Read>
void ask(const CallsPtr& calls, seconds within, Request request, Start start, Read read, Done<T> done) {
  const auto call = std::make_shared<grpc_kit::UnaryRequest<Request, Response>>(calls);
  call->request = std::move(request);
  call->context.set_deadline(std::chrono::system_clock::now() + within);
  start(&call->context, &call->request, &call->response, [call, read, done = std::move(done)](const grpc::Status& st) {
    if (!st.ok()) return done(wire::from_grpc(st));
    done(read(call->response));
  });
}

/// A stream; `take` returns an error for a message that ends it. `start` is called as start(context, reactor).
template <class Response, class Start, class Take>
std::shared_ptr<grpc_kit::StreamReader<Response>> watch(const CallsPtr& calls, Start start, Take take, OnEnd on_end) {
  using Reader = grpc_kit::StreamReader<Response>;
  const auto wrong = std::make_shared<absl::Status>();
  return Reader::open(calls,
                      {[take = std::move(take), wrong](Response& m) {
                         *wrong = take(m);
                         return wrong->ok() ? Reader::Then::read_on : Reader::Then::end;
                       },
                       [wrong, on_end = std::move(on_end)](const grpc::Status& st) {
                         if (!wrong->ok()) return on_end(*wrong);
                         on_end(st.ok() ? absl::UnavailableError("the stream ended") : wire::from_grpc(st));
                       }},
                      std::move(start));
}

template <class Refs>
absl::StatusOr<std::vector<eth::BlockRef>> refs_from(const Refs& messages) {
  std::vector<eth::BlockRef> out;
  for (const auto& m : messages) {
    TOWLINE_ASSIGN_OR_RETURN(auto ref, wire::from_proto(m));
    out.push_back(ref);
  }
  return out;
}

absl::StatusOr<contract::CommandResult> result_from(const v1::CommandResult& r) { return wire::from_proto(r); }

class GrpcDriver final : public DriverClient {
 public:
  GrpcDriver(const std::shared_ptr<grpc::Channel>& channel, CallsPtr calls)
      : stub_{v1::EngineDriver::NewStub(channel)}, calls_{std::move(calls)} {}

  void canonical_blocks(const std::vector<std::uint64_t>& numbers, Done<std::vector<eth::BlockRef>> done) override {
    v1::GetCanonicalBlocksRequest request;
    request.mutable_numbers()->Add(numbers.begin(), numbers.end());
    ask<v1::GetCanonicalBlocksRequest, v1::GetCanonicalBlocksResponse, std::vector<eth::BlockRef>>(
        calls_, kReadWithin, std::move(request), [this](auto... a) { stub_->async()->GetCanonicalBlocks(a...); },
        [](const auto& r) { return refs_from(r.blocks()); }, std::move(done));
  }

  void import(const Import& e, Done<contract::CommandResult> done) override {
    // No deadline: engine-driver reports progress several times a second, but a single payload may take long.
    const auto last = std::make_shared<v1::CommandResult>();
    const auto request = wire::to_proto(e.command, e.range);
    coordinator::watch<v1::ImportRangeResponse>(
        calls_, [&](auto* context, auto* reactor) { stub_->async()->ImportRange(context, &request, reactor); },
        [last](const v1::ImportRangeResponse& m) -> absl::Status {
          if (m.has_result()) *last = m.result();
          return absl::OkStatus();
        },
        [last, done = std::move(done)](const absl::Status& end) {
          // watch() reports UNAVAILABLE even for a stream that ended well, so a received result takes precedence.
          if (last->outcome() != v1::OUTCOME_UNSPECIFIED) return done(result_from(*last));
          done(end);
        });
  }

  void set_forkchoice(const SetForkchoice& e, Done<contract::CommandResult> done) override {
    ask<v1::SetForkchoiceRequest, v1::SetForkchoiceResponse, contract::CommandResult>(
        calls_, kCommandWithin, wire::to_proto(e.command, e.forkchoice),
        [this](auto... a) { stub_->async()->SetForkchoice(a...); },
        [](const auto& r) { return result_from(r.result()); }, std::move(done));
  }

  void rewind(const Rewind& e, Done<contract::CommandResult> done) override {
    v1::RewindRequest request;
    *request.mutable_command() = wire::to_proto(e.command);
    *request.mutable_to() = wire::to_proto(e.to);
    ask<v1::RewindRequest, v1::RewindResponse, contract::CommandResult>(
        calls_, kCommandWithin, std::move(request), [this](auto... a) { stub_->async()->Rewind(a...); },
        [](const auto& r) { return result_from(r.result()); }, std::move(done));
  }

  void start_el_sync(const StartElSync& e, Done<contract::CommandResult> done) override {
    ask<v1::StartElSyncRequest, v1::StartElSyncResponse, contract::CommandResult>(
        calls_, kCommandWithin, wire::to_proto(e.command, e.start),
        [this](auto... a) { stub_->async()->StartElSync(a...); }, [](const auto& r) { return result_from(r.result()); },
        std::move(done));
  }

  void watch(std::function<void(const contract::EngineState&)> on_state, OnEnd on_end) override {
    static const v1::WatchStateRequest kRequest;
    coordinator::watch<v1::WatchStateResponse>(
        calls_, [this](auto* context, auto* reactor) { stub_->async()->WatchState(context, &kRequest, reactor); },
        [on_state = std::move(on_state)](const v1::WatchStateResponse& m) -> absl::Status {
          TOWLINE_ASSIGN_OR_RETURN(const auto state, wire::from_proto(m.state()));
          on_state(state);
          return absl::OkStatus();
        },
        std::move(on_end));
  }

 private:
  const std::unique_ptr<v1::EngineDriver::Stub> stub_;
  const CallsPtr calls_;
};

class GrpcFetcher final : public FetcherClient {
 public:
  GrpcFetcher(const std::shared_ptr<grpc::Channel>& channel, CallsPtr calls)
      : stub_{v1::RemoteFetcher::NewStub(channel)}, calls_{std::move(calls)} {}

  void headers(const std::vector<std::uint64_t>& numbers, const std::string& endpoint,
               Done<std::vector<eth::BlockRef>> done) override {
    v1::GetHeadersRequest request;
    request.mutable_numbers()->Add(numbers.begin(), numbers.end());
    request.set_endpoint(endpoint);
    ask<v1::GetHeadersRequest, v1::GetHeadersResponse, std::vector<eth::BlockRef>>(
        calls_, kReadWithin, std::move(request), [this](auto... a) { stub_->async()->GetHeaders(a...); },
        [](const auto& r) { return refs_from(r.headers()); }, std::move(done));
  }

  void sources(Done<std::vector<Witness::OtherHead>> done) override {
    using Heads = std::vector<Witness::OtherHead>;
    ask<v1::ListEndpointsRequest, v1::ListEndpointsResponse, Heads>(
        calls_, kSourcesWithin, {}, [this](auto... a) { stub_->async()->ListEndpoints(a...); },
        [](const v1::ListEndpointsResponse& r) -> absl::StatusOr<Heads> {
          Heads out;
          for (const auto& e : r.endpoints()) {
            if (e.state() != v1::ENDPOINT_STATE_READY || !e.heads().has_unsafe()) continue;
            TOWLINE_ASSIGN_OR_RETURN(const auto head, wire::from_proto(e.heads().unsafe()));
            out.push_back({head.number, head.hash});
          }
          return out;
        },
        std::move(done));
  }

  std::function<void()> watch(const std::optional<eth::BlockId>& confirmed_finalized, HeadEvents events) override {
    v1::WatchHeadsRequest request;
    if (confirmed_finalized) *request.mutable_confirmed_finalized() = wire::to_proto(*confirmed_finalized);
    const auto reader = coordinator::watch<v1::WatchHeadsResponse>(
        calls_,
        [&](auto* context, auto* reactor) {
          context->set_deadline(std::chrono::system_clock::now() + kHeadsFor);
          stub_->async()->WatchHeads(context, &request, reactor);
        },
        [on_snapshot = std::move(events.on_snapshot),
         on_trouble = std::move(events.on_trouble)](const v1::WatchHeadsResponse& m) -> absl::Status {
          if (!m.has_snapshot()) {
            on_trouble(wire::from_proto(m.trouble()));
            return absl::OkStatus();
          }
          TOWLINE_ASSIGN_OR_RETURN(const auto s, wire::from_proto(m.snapshot(), steady_now()));
          on_snapshot(s);
          return absl::OkStatus();
        },
        std::move(events.on_end));
    return [reader] { reader->cancel(); };
  }

 private:
  const std::unique_ptr<v1::RemoteFetcher::Stub> stub_;
  const CallsPtr calls_;
};

class GrpcGossip final : public GossipClient {
 public:
  GrpcGossip(const std::shared_ptr<grpc::Channel>& channel, CallsPtr calls)
      : stub_{v1::P2PGossip::NewStub(channel)}, calls_{std::move(calls)} {}

  void watch(std::function<void(const std::optional<eth::BlockRef>&)> on_block, OnEnd on_end) override {
    static const v1::WatchBlocksRequest kRequest;
    coordinator::watch<v1::WatchBlocksResponse>(
        calls_, [this](auto* context, auto* reactor) { stub_->async()->WatchBlocks(context, &kRequest, reactor); },
        [on_block = std::move(on_block)](const v1::WatchBlocksResponse& m) -> absl::Status {
          if (!m.has_block()) {
            on_block(std::nullopt);
            return absl::OkStatus();
          }
          TOWLINE_ASSIGN_OR_RETURN(const auto block, wire::from_proto(m.block().block()));
          on_block(block);
          return absl::OkStatus();
        },
        std::move(on_end));
  }

 private:
  const std::unique_ptr<v1::P2PGossip::Stub> stub_;
  const CallsPtr calls_;
};

}  // namespace

std::unique_ptr<DriverClient> make_driver_client(const std::shared_ptr<grpc::Channel>& channel, CallsPtr calls) {
  return std::make_unique<GrpcDriver>(channel, std::move(calls));
}
std::unique_ptr<FetcherClient> make_fetcher_client(const std::shared_ptr<grpc::Channel>& channel, CallsPtr calls) {
  return std::make_unique<GrpcFetcher>(channel, std::move(calls));
}
std::unique_ptr<GossipClient> make_gossip_client(const std::shared_ptr<grpc::Channel>& channel, CallsPtr calls) {
  return std::make_unique<GrpcGossip>(channel, std::move(calls));
}

}  // namespace towline::coordinator
