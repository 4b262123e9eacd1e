#include "services/sync-coordinator/edge/clients.hpp"

#include <absl/strings/str_cat.h>
#include <grpcpp/grpcpp.h>

#include <mutex>
#include <set>

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

  absl::StatusOr<contract::CommandResult> import(const Import& e) override {
    Calls::Call call{calls_};
    auto reader = stub_->ImportRange(&call.context, wire::to_proto(e.command, e.range));
    v1::ImportRangeResponse message;
    v1::CommandResult last;
    while (reader->Read(&message)) {
      if (message.has_result()) last = message.result();
    }
    TOWLINE_RETURN_IF_ERROR(wire::from_grpc(reader->Finish()));
    return wire::from_proto(last);
  }

  absl::StatusOr<contract::CommandResult> set_forkchoice(const SetForkchoice& e) override {
    Calls::Call call{calls_};
    set_deadline(call.context, kUnaryDeadline * 4);
    v1::SetForkchoiceResponse response;
    TOWLINE_RETURN_IF_ERROR(
        wire::from_grpc(stub_->SetForkchoice(&call.context, wire::to_proto(e.command, e.forkchoice), &response)));
    return wire::from_proto(response.result());
  }

  absl::StatusOr<contract::CommandResult> rewind(const Rewind& e) override {
    Calls::Call call{calls_};
    set_deadline(call.context, kUnaryDeadline * 4);
    v1::RewindRequest request;
    *request.mutable_command() = wire::to_proto(e.command);
    *request.mutable_to() = wire::to_proto(e.to);
    v1::RewindResponse response;
    TOWLINE_RETURN_IF_ERROR(wire::from_grpc(stub_->Rewind(&call.context, request, &response)));
    return wire::from_proto(response.result());
  }

  absl::Status watch(const std::function<void(const contract::EngineState&)>& on_state) override {
    Calls::Call call{calls_};
    auto reader = stub_->WatchState(&call.context, {});
    v1::WatchStateResponse message;
    while (reader->Read(&message)) {
      TOWLINE_ASSIGN_OR_RETURN(const auto state, wire::from_proto(message.state()));
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

  absl::Status watch(const std::optional<eth::BlockId>& confirmed_finalized,
                     const std::function<void(const contract::HeadSnapshot&)>& on_snapshot,
                     const std::function<void(const contract::SourceTrouble&)>& on_trouble,
                     const std::function<bool()>& enough) override {
    Calls::Call call{calls_};
    // Opened again with a newer confirmed_finalized each time.
    set_deadline(call.context, kWatchDeadline);
    v1::WatchHeadsRequest request;
    if (confirmed_finalized) *request.mutable_confirmed_finalized() = wire::to_proto(*confirmed_finalized);
    auto reader = stub_->WatchHeads(&call.context, request);
    v1::WatchHeadsResponse message;
    while (reader->Read(&message)) {
      if (enough()) {
        call.context.TryCancel();
        reader->Finish();
        return absl::OkStatus();
      }
      if (!message.has_snapshot()) {
        on_trouble(wire::from_proto(message.trouble()));
        continue;
      }
      TOWLINE_ASSIGN_OR_RETURN(const auto s, wire::from_proto(message.snapshot(), steady_now()));
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
