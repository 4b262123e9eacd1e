// The coordinator's outgoing calls over gRPC. A call that stops making progress ends: deadlines on single calls,
// silence on streams.
#pragma once
#include <grpcpp/channel.h>

#include <memory>

#include "services/sync-coordinator/actors/clients.hpp"

namespace towline::coordinator {

std::unique_ptr<DriverClient> make_driver_client(std::shared_ptr<grpc::Channel> channel);
std::unique_ptr<FetcherClient> make_fetcher_client(std::shared_ptr<grpc::Channel> channel);
std::unique_ptr<GossipClient> make_gossip_client(std::shared_ptr<grpc::Channel> channel);

}  // namespace towline::coordinator
