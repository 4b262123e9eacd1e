// The channel to another of Towline's services.
#pragma once
#include <grpcpp/channel.h>

#include <memory>
#include <string>

namespace towline::wire {

/// `target` in gRPC's form, for example dns:///remote-fetcher:7410. Calls are spread over all addresses of the name. An
/// address that goes away is left within seconds; a new one is found when a connection ends, and servers end each
/// connection after a while. `token` is sent with every call; empty: none.
std::shared_ptr<grpc::Channel> make_channel(const std::string& target, const std::string& token);

}  // namespace towline::wire
