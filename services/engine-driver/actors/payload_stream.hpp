// The source of the writer's payloads. The edge implements it over gRPC, actors share or keep payloads, tests use a
// vector.
#pragma once
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/atom.hpp>
#include <caf/send.hpp>
#include <functional>
#include <memory>

#include "services/engine-driver/core/effects.hpp"

namespace towline::driver {

class PayloadStream {
 public:
  /// After destruction `done` may run late or never: whoever waits for it has to end the wait.
  virtual ~PayloadStream() = default;
  using Done = std::function<void(NextPayload::Answer)>;
  /// Requests the next payload; the answer is that of NextPayload, but never nullopt. `done` runs at most once, on any
  /// thread, possibly before next() returns. One request at a time.
  virtual void next(Done done) = 0;
};

/// For a single receiver, which moves the answer out.
using PayloadPtr = std::shared_ptr<NextPayload::Answer>;

using OpenPayloadStream = std::function<std::unique_ptr<PayloadStream>(const OpenPayloads&)>;

// What an actor that serves streams understands. The number names the stream; opening one closes the previous one.
using open_atom = caf::atom_constant<caf::atom("open")>;
using next_atom = caf::atom_constant<caf::atom("next")>;
using close_atom = caf::atom_constant<caf::atom("close")>;
using OpenPayloadsPtr = std::shared_ptr<const OpenPayloads>;
using DonePtr = std::shared_ptr<const PayloadStream::Done>;

/// A stream that an actor serves.
template <class Actor>
class ActorStream final : public PayloadStream {
 public:
  ActorStream(Actor actor, std::uint64_t number, const OpenPayloads& e) : actor_{std::move(actor)}, number_{number} {
    caf::anon_send(actor_, open_atom{}, number_, OpenPayloadsPtr{std::make_shared<const OpenPayloads>(e)});
  }
  ~ActorStream() override { caf::anon_send(actor_, close_atom{}, number_); }
  ActorStream(const ActorStream&) = delete;
  ActorStream& operator=(const ActorStream&) = delete;
  void next(Done done) override {
    caf::anon_send(actor_, next_atom{}, number_, DonePtr{std::make_shared<const Done>(std::move(done))});
  }

 private:
  const Actor actor_;
  const std::uint64_t number_;
};

/// Each payload comes from the actor for its origin. The writer must be the only caller: it numbers the streams.
template <class Remote, class Gossip>
OpenPayloadStream open_at(Remote remote, Gossip gossip) {
  return [remote = std::move(remote), gossip = std::move(gossip),
          last = std::uint64_t{0}](const OpenPayloads& e) mutable -> std::unique_ptr<PayloadStream> {
    if (e.origin == contract::PayloadOrigin::gossip) return std::make_unique<ActorStream<Gossip>>(gossip, ++last, e);
    return std::make_unique<ActorStream<Remote>>(remote, ++last, e);
  };
}

}  // namespace towline::driver

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::PayloadPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::OpenPayloadsPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::DonePtr)
