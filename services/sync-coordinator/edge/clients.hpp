// The coordinator's outgoing calls over gRPC: an object each, and no thread. A call that stops making progress ends:
// deadlines on single calls, silence on streams.
#pragma once
#include <grpcpp/channel.h>

#include <memory>

#include "libs/grpc_kit/client_calls.hpp"
#include "services/sync-coordinator/actors/clients.hpp"

namespace towline::coordinator {

/// `calls`: cancelled when the process ends, and waited for before the channels go.
std::unique_ptr<DriverClient> make_driver_client(const std::shared_ptr<grpc::Channel>& channel,
                                                 std::shared_ptr<grpc_kit::OpenCalls> calls);
std::unique_ptr<FetcherClient> make_fetcher_client(const std::shared_ptr<grpc::Channel>& channel,
                                                   std::shared_ptr<grpc_kit::OpenCalls> calls);
std::unique_ptr<GossipClient> make_gossip_client(const std::shared_ptr<grpc::Channel>& channel,
                                                 std::shared_ptr<grpc_kit::OpenCalls> calls);

}  // namespace towline::coordinator
