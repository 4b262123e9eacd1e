// The gRPC services RemoteFetcher and PayloadSource: convert messages to values and back. A call is an object that an
// actor answers, and holds no thread.
#pragma once
#include <atomic>

#include "libs/wire/watchers.hpp"
#include "services/remote-fetcher/actors/head_hub.hpp"
#include "services/remote-fetcher/actors/payload_stream.hpp"
#include "towline/v1/payload_source.grpc.pb.h"
#include "towline/v1/remote_fetcher.grpc.pb.h"

namespace towline::fetcher {

/// Why the sources give no heads or no blocks.
SourceTroubles troubles_of(const EndpointView& endpoints, const HeadBoard& board, absl::Time now);

class FetcherService final : public v1::RemoteFetcher::CallbackService {
 public:
  FetcherService(const Dispatcher& dispatcher, const Heads& heads)
      : dispatcher_{dispatcher}, view_{dispatcher.view()}, heads_{heads} {}

  grpc::ServerWriteReactor<v1::WatchHeadsResponse>* WatchHeads(grpc::CallbackServerContext*,
                                                               const v1::WatchHeadsRequest*) override;
  grpc::ServerUnaryReactor* GetHeaders(grpc::CallbackServerContext*, const v1::GetHeadersRequest*,
                                       v1::GetHeadersResponse*) override;
  grpc::ServerUnaryReactor* GetHeaderByHash(grpc::CallbackServerContext*, const v1::GetHeaderByHashRequest*,
                                            v1::GetHeaderByHashResponse*) override;
  grpc::ServerUnaryReactor* ListEndpoints(grpc::CallbackServerContext*, const v1::ListEndpointsRequest*,
                                          v1::ListEndpointsResponse*) override;
  grpc::ServerUnaryReactor* CompareEndpoints(grpc::CallbackServerContext*, const v1::CompareEndpointsRequest*,
                                             v1::CompareEndpointsResponse*) override;
  grpc::ServerUnaryReactor* CordonEndpoint(grpc::CallbackServerContext*, const v1::CordonEndpointRequest*,
                                           v1::CordonEndpointResponse*) override;
  grpc::ServerUnaryReactor* UncordonEndpoint(grpc::CallbackServerContext*, const v1::UncordonEndpointRequest*,
                                             v1::UncordonEndpointResponse*) override;

 private:
  const Dispatcher& dispatcher_;
  const EndpointView& view_;
  const Heads& heads_;
  std::atomic<std::uint64_t> last_watch_{0};
  wire::Watchers watchers_{64};
};

class PayloadService final : public v1::PayloadSource::CallbackService {
 public:
  /// `stream`: the common part of its payload streams' configurations.
  PayloadService(caf::actor_system& system, StreamConfig stream) : system_{system}, stream_{std::move(stream)} {}

  grpc::ServerUnaryReactor* GetPayload(grpc::CallbackServerContext*, const v1::GetPayloadRequest*,
                                       v1::GetPayloadResponse*) override;
  grpc::ServerWriteReactor<v1::StreamPayloadsResponse>* StreamPayloads(grpc::CallbackServerContext*,
                                                                       const v1::StreamPayloadsRequest*) override;

 private:
  caf::actor_system& system_;
  const StreamConfig stream_;
  wire::Watchers readers_{32};
};

}  // namespace towline::fetcher
