// Payloads from a PayloadSource over gRPC. A thread of its own reads ahead and prepares the EL's requests, bounded in
// bytes.
#pragma once
#include <grpcpp/channel.h>

#include <memory>

#include "services/engine-driver/actors/payload_stream.hpp"

namespace towline::driver {

/// From the remote-fetcher, or where it is asked for from p2p-gossip.
OpenPayloadStream open_over(std::shared_ptr<grpc::Channel> remote, std::shared_ptr<grpc::Channel> gossip);

}  // namespace towline::driver
