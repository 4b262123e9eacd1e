// The answer to StreamPayloads: an actor per call, which ends with it.
//
// Owns: the blocks still to be sent. In: the blocks from the store, room in the transport, the end of the call. Out:
// each payload once the transport has taken the previous one, so that a slow reader costs one message. If the store is
// gone, the call ends with UNAVAILABLE.
#pragma once
#include <caf/actor_system.hpp>

#include "libs/grpc_kit/server_calls.hpp"
#include "services/p2p-gossip/actors/block_store.hpp"
#include "towline/v1/payload_source.grpc.pb.h"

namespace towline::gossip {

/// The name of this source in responses.
inline constexpr const char* kEndpoint = "p2p-gossip";

/// `place` is held until the call is over.
grpc::ServerWriteReactor<v1::StreamPayloadsResponse>* send_payloads(caf::actor_system& system,
                                                                    const block_store_actor& store, Stretch stretch,
                                                                    std::shared_ptr<void> place);

}  // namespace towline::gossip
