// Payloads from a PayloadSource over gRPC: read ahead up to a bound in bytes, and converted to requests for the EL on
// arrival.
#pragma once
#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "libs/grpc_kit/client_calls.hpp"
#include "services/engine-driver/actors/shared_payloads.hpp"

namespace towline::driver {

/// A channel to each remote-fetcher. `calls` must be idle before the object is destroyed.
std::unique_ptr<FetcherCalls> make_fetcher_calls(std::string token, std::shared_ptr<grpc_kit::OpenCalls> calls);

/// All payloads from one source (p2p-gossip). `calls` must be idle before the channel is released.
OpenPayloadStream open_over(std::shared_ptr<grpc::Channel> source, std::shared_ptr<grpc_kit::OpenCalls> calls);

/// The payload of each new block of p2p-gossip. `calls` as above.
std::unique_ptr<PayloadStream> watch_payloads(const std::shared_ptr<grpc::Channel>& gossip,
                                              std::shared_ptr<grpc_kit::OpenCalls> calls);

}  // namespace towline::driver
