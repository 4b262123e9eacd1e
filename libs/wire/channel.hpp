// The channel to another of Towline's services.
#pragma once
#include <grpcpp/channel.h>

#include <memory>
#include <string>

namespace towline::wire {

/// `target` as gRPC has it, for example dns:///remote-fetcher:7410. Where the name has several addresses calls go round
/// them; an address that goes away is left within seconds, and a new one is found when a connection ends (the server
/// ends each after a while). `token`: every call carries it; empty: none.
std::shared_ptr<grpc::Channel> make_channel(const std::string& target, const std::string& token);

}  // namespace towline::wire
