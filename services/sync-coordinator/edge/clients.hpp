// The coordinator's outgoing gRPC calls: one object each, no thread. Unary calls have a deadline. A stream whose peer
// is gone ends by HTTP/2 keepalive, and the watch of the heads also by a deadline.
#pragma once
#include <grpcpp/channel.h>

#include <memory>

#include "libs/grpc_kit/client_calls.hpp"
#include "services/sync-coordinator/actors/clients.hpp"

namespace towline::coordinator {

/// `calls`: cancelled when the process stops; must be idle before the channels are released.
std::unique_ptr<DriverClient> make_driver_client(const std::shared_ptr<grpc::Channel>& channel,
                                                 std::shared_ptr<grpc_kit::OpenCalls> calls);
std::unique_ptr<FetcherClient> make_fetcher_client(const std::shared_ptr<grpc::Channel>& channel,
                                                   std::shared_ptr<grpc_kit::OpenCalls> calls);
std::unique_ptr<GossipClient> make_gossip_client(const std::shared_ptr<grpc::Channel>& channel,
                                                 std::shared_ptr<grpc_kit::OpenCalls> calls);

}  // namespace towline::coordinator
