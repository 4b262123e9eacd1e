// An answer to StreamPayloads: an actor for each call, that ends with it.
//
// Owns: the blocks that are still to be sent. In: the stretch of the store, room, the end of the call. Out: one payload
// when the one before has gone to the transport, so that a slow reader holds one message. If the store is gone the call
// ends with UNAVAILABLE.
#pragma once
#include <caf/actor_system.hpp>

#include "libs/grpc_kit/server_calls.hpp"
#include "services/p2p-gossip/actors/block_store.hpp"
#include "towline/v1/payload_source.grpc.pb.h"

namespace towline::gossip {

/// What we are called as a source.
inline constexpr const char* kEndpoint = "p2p-gossip";

/// `place` is held until the call is over.
grpc::ServerWriteReactor<v1::StreamPayloadsResponse>* send_payloads(caf::actor_system& system,
                                                                    const block_store_actor& store, Stretch stretch,
                                                                    std::shared_ptr<void> place);

}  // namespace towline::gossip
