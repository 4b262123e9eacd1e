// Payloads from a PayloadSource over gRPC, read ahead and made the EL's requests as they come, bounded in bytes.
#pragma once
#include <grpcpp/channel.h>

#include <memory>

#include "libs/grpc_kit/client_calls.hpp"
#include "services/engine-driver/actors/payload_stream.hpp"

namespace towline::driver {

/// From the remote-fetcher, or where it is asked for from p2p-gossip. `calls`: wait until none is open before the
/// channels go.
OpenPayloadStream open_over(std::shared_ptr<grpc::Channel> remote, std::shared_ptr<grpc::Channel> gossip,
                            std::shared_ptr<grpc_kit::OpenCalls> calls);

}  // namespace towline::driver
