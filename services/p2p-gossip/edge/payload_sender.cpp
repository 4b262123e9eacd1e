#include "services/p2p-gossip/edge/payload_sender.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/guard.hpp"
#include "libs/wire/convert.hpp"

namespace towline::gossip {
namespace {

using Stream = grpc_kit::StreamCall<v1::StreamPayloadsResponse>;
using StreamPtr = std::shared_ptr<Stream>;
using begin_atom = caf::atom_constant<caf::atom("begin")>;

}  // namespace
}  // namespace towline::gossip

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::gossip::StreamPtr)

namespace towline::gossip {
namespace {

using payload_sender_actor =
    caf::typed_actor<caf::reacts_to<begin_atom, StreamPtr>, caf::reacts_to<room_atom>, caf::reacts_to<leave_atom>>;

struct payload_sender_state {
  static inline const char* name = "payload_sender";
  ValidBlocksPtr blocks;
  std::size_t next = 0;
  StreamPtr call;

  /// Returns false once everything was sent.
  bool send() {
    if (!blocks || !call) return true;
    if (next < blocks->size()) {
      v1::StreamPayloadsResponse message;
      message.set_endpoint(kEndpoint);
      *message.mutable_payload() = wire::to_proto(*(*blocks)[next]->payload);
      call->push(std::move(message));
    }
    if (++next < blocks->size()) return true;
    call->close(grpc::Status::OK);
    return false;
  }
};

payload_sender_actor::behavior_type payload_sender(payload_sender_actor::stateful_pointer<payload_sender_state> self,
                                                   const block_store_actor& store, const StretchPtr& stretch) {
  guard(static_cast<payload_sender_actor::pointer>(self), "payload_sender");
  return {[=](begin_atom, const StreamPtr& call) {
            self->state.call = call;
            self->request(store, caf::infinite, stretch_atom{}, stretch)
                .then(
                    [=](const ValidBlocksPtr& blocks) {
                      if (blocks->empty()) {
                        call->close({grpc::StatusCode::NOT_FOUND,
                                     "the p2p network's recent blocks do not lead from the parent to the tip"});
                        return self->quit();
                      }
                      self->state.blocks = blocks;
                      if (!self->state.send()) self->quit();
                    },
                    [=](const caf::error&) {
                      call->close({grpc::StatusCode::UNAVAILABLE, "shutting down"});
                      self->quit();
                    });
          },
          [=](room_atom) {
            if (!self->state.send()) self->quit();
          },
          [=](leave_atom) { self->quit(); }};
}

}  // namespace

grpc::ServerWriteReactor<v1::StreamPayloadsResponse>* send_payloads(caf::actor_system& system,
                                                                    const block_store_actor& store, Stretch stretch,
                                                                    std::shared_ptr<void> place) {
  const auto sender = system.spawn(payload_sender, store, StretchPtr{std::make_shared<const Stretch>(stretch)});
  const auto call = Stream::make({[sender] { caf::anon_send(sender, room_atom{}); },
                                  [sender, place = std::move(place)] { caf::anon_send(sender, leave_atom{}); }});
  caf::anon_send(sender, begin_atom{}, call);
  return call.get();
}

}  // namespace towline::gossip
