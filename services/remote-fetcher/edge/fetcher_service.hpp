// The gRPC services RemoteFetcher and PayloadSource: messages to values and back. A watch is an object that the head
// hub answers, and costs no thread; other handlers run on gRPC's own threads.
#pragma once
#include <atomic>

#include "libs/wire/watchers.hpp"
#include "services/remote-fetcher/actors/head_hub.hpp"
#include "services/remote-fetcher/actors/payload_stream.hpp"
#include "services/remote-fetcher/actors/pool.hpp"
#include "towline/v1/payload_source.grpc.pb.h"
#include "towline/v1/remote_fetcher.grpc.pb.h"

namespace towline::fetcher {

/// Why the sources cannot be used.
SourceTroubles troubles_of(const Pool& pool, const HeadBoard& board, absl::Time now);

class FetcherService final
    : public v1::RemoteFetcher::WithCallbackMethod_WatchHeads<
          v1::RemoteFetcher::WithCallbackMethod_ListEndpoints<v1::RemoteFetcher::WithCallbackMethod_CordonEndpoint<
              v1::RemoteFetcher::WithCallbackMethod_UncordonEndpoint<v1::RemoteFetcher::Service>>>> {
 public:
  FetcherService(Pool& pool, const Heads& heads, Headers& headers) : pool_{pool}, heads_{heads}, headers_{headers} {}

  grpc::ServerWriteReactor<v1::WatchHeadsResponse>* WatchHeads(grpc::CallbackServerContext*,
                                                               const v1::WatchHeadsRequest*) override;
  grpc::Status GetHeaders(grpc::ServerContext*, const v1::GetHeadersRequest*, v1::GetHeadersResponse*) override;
  grpc::Status GetHeaderByHash(grpc::ServerContext*, const v1::GetHeaderByHashRequest*,
                               v1::GetHeaderByHashResponse*) override;
  grpc::ServerUnaryReactor* ListEndpoints(grpc::CallbackServerContext*, const v1::ListEndpointsRequest*,
                                          v1::ListEndpointsResponse*) override;
  grpc::Status CompareEndpoints(grpc::ServerContext*, const v1::CompareEndpointsRequest*,
                                v1::CompareEndpointsResponse*) override;
  grpc::ServerUnaryReactor* CordonEndpoint(grpc::CallbackServerContext*, const v1::CordonEndpointRequest*,
                                           v1::CordonEndpointResponse*) override;
  grpc::ServerUnaryReactor* UncordonEndpoint(grpc::CallbackServerContext*, const v1::UncordonEndpointRequest*,
                                             v1::UncordonEndpointResponse*) override;

 private:
  Pool& pool_;
  const Heads& heads_;
  Headers& headers_;
  std::atomic<std::uint64_t> last_watch_{0};
  wire::Watchers watchers_{64};
};

class PayloadService final : public v1::PayloadSource::Service {
 public:
  PayloadService(Headers& headers, Bodies& bodies, PayloadStreams& streams)
      : headers_{headers}, bodies_{bodies}, streams_{streams} {}

  grpc::Status GetPayload(grpc::ServerContext*, const v1::GetPayloadRequest*, v1::GetPayloadResponse*) override;
  grpc::Status StreamPayloads(grpc::ServerContext*, const v1::StreamPayloadsRequest*,
                              grpc::ServerWriter<v1::StreamPayloadsResponse>*) override;

 private:
  Headers& headers_;
  Bodies& bodies_;
  PayloadStreams& streams_;
  wire::Watchers readers_{32};
};

}  // namespace towline::fetcher
