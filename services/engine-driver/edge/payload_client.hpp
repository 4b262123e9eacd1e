// Payloads from a PayloadSource over gRPC. A thread of its own reads ahead and prepares the EL's requests, bounded in
// bytes.
#pragma once
#include <grpcpp/channel.h>

#include <memory>

#include "libs/rollup/config.hpp"
#include "services/engine-driver/actors/payload_stream.hpp"

namespace towline::driver {

OpenPayloadStream open_over(std::shared_ptr<grpc::Channel> channel, const rollup::Config& config);

}  // namespace towline::driver
