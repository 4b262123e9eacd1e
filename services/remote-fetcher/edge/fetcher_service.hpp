// The gRPC services RemoteFetcher and PayloadSource: messages to values and back; handlers run on gRPC's own threads.
#pragma once
#include "libs/wire/watchers.hpp"
#include "services/remote-fetcher/actors/head_board.hpp"
#include "services/remote-fetcher/actors/payload_stream.hpp"
#include "services/remote-fetcher/actors/pool.hpp"
#include "towline/v1/payload_source.grpc.pb.h"
#include "towline/v1/remote_fetcher.grpc.pb.h"

namespace towline::fetcher {

/// Why no endpoint gives heads.
contract::SourceTrouble heads_trouble(const Pool& pool, const HeadBoard& board);

class FetcherService final : public v1::RemoteFetcher::Service {
 public:
  FetcherService(Pool& pool, HeadBoard& board, Headers& headers, absl::Duration interval)
      : pool_{pool}, board_{board}, headers_{headers}, interval_{interval} {}

  grpc::Status WatchHeads(grpc::ServerContext*, const v1::WatchHeadsRequest*,
                          grpc::ServerWriter<v1::WatchHeadsResponse>*) override;
  grpc::Status GetHeaders(grpc::ServerContext*, const v1::GetHeadersRequest*, v1::GetHeadersResponse*) override;
  grpc::Status GetHeaderByHash(grpc::ServerContext*, const v1::GetHeaderByHashRequest*,
                               v1::GetHeaderByHashResponse*) override;
  grpc::Status ListEndpoints(grpc::ServerContext*, const v1::ListEndpointsRequest*,
                             v1::ListEndpointsResponse*) override;
  grpc::Status CompareEndpoints(grpc::ServerContext*, const v1::CompareEndpointsRequest*,
                                v1::CompareEndpointsResponse*) override;
  grpc::Status CordonEndpoint(grpc::ServerContext*, const v1::CordonEndpointRequest*,
                              v1::CordonEndpointResponse*) override;
  grpc::Status UncordonEndpoint(grpc::ServerContext*, const v1::UncordonEndpointRequest*,
                                v1::UncordonEndpointResponse*) override;

 private:
  Pool& pool_;
  HeadBoard& board_;
  Headers& headers_;
  const absl::Duration interval_;
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
