// Payloads from a PayloadSource over gRPC, read ahead and made the EL's requests as they come, bounded in bytes.
#pragma once
#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "libs/grpc_kit/client_calls.hpp"
#include "services/engine-driver/actors/shared_payloads.hpp"

namespace towline::driver {

/// To each remote-fetcher over a channel of its own. `calls`: wait until none is open before this goes.
std::unique_ptr<FetcherCalls> make_fetcher_calls(std::string token, std::shared_ptr<grpc_kit::OpenCalls> calls);

/// All payloads from one source, p2p-gossip. `calls` as above, for the channel.
OpenPayloadStream open_over(std::shared_ptr<grpc::Channel> source, std::shared_ptr<grpc_kit::OpenCalls> calls);

}  // namespace towline::driver
