// One call of StreamPayloads: an actor that owns a core/range_session and ends with its call.
//
// In: from the call, that its reader has room or is gone; from the dispatcher, answers to the session's requests. Out:
// questions to the dispatcher; payloads and the end to the call. No timers. When the call ends, its pending work is
// cancelled and its memory is released.
#pragma once
#include <caf/typed_actor.hpp>
#include <functional>
#include <memory>

#include "services/remote-fetcher/actors/dispatcher.hpp"
#include "services/remote-fetcher/core/range_session.hpp"

namespace towline::fetcher {

/// The call. The functions must hand over and return.
struct PayloadReader {
  /// Appends payloads; room_atom comes once the transport has taken all of them.
  std::function<void(const std::vector<ServedPtr>&)> write;
  /// Errors are those of payload_source.proto.
  std::function<void(const absl::Status&)> end;
};
using PayloadReaderPtr = std::shared_ptr<const PayloadReader>;
/// An answer to a request of the session.
using SessionEvent = std::function<RangeSession::Effects(RangeSession&)>;
using SessionEventPtr = std::shared_ptr<const SessionEvent>;

struct StreamConfig {
  std::uint64_t id = 0;
  eth::BlockId parent, tip;
  /// Requests in flight per endpoint.
  int max_in_flight = 16;
  Dispatcher* dispatcher = nullptr;
};

}  // namespace towline::fetcher

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::fetcher::SessionEventPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::fetcher::PayloadReaderPtr)

namespace towline::fetcher {

using room_atom = caf::atom_constant<caf::atom("room")>;
using gone_atom = caf::atom_constant<caf::atom("gone")>;
using begin_atom = caf::atom_constant<caf::atom("begin")>;
using event_atom = caf::atom_constant<caf::atom("event")>;

using payload_stream_actor = caf::typed_actor<
    // The first message.
    caf::reacts_to<begin_atom, PayloadReaderPtr>, caf::reacts_to<room_atom>, caf::reacts_to<gone_atom>>;
using payload_stream_impl = payload_stream_actor::extend<caf::reacts_to<event_atom, SessionEventPtr>>;

class PayloadStreamState {
 public:
  static inline const char* name = "payload_stream";
  explicit PayloadStreamState(payload_stream_impl::pointer self) : self_{self} {}
  ~PayloadStreamState();
  PayloadStreamState(const PayloadStreamState&) = delete;
  PayloadStreamState& operator=(const PayloadStreamState&) = delete;
  payload_stream_impl::behavior_type make_behavior(const StreamConfig& config);

 private:
  void apply(RangeSession::Effects effects);
  void run(const RangeSession::AskBorder& ask);
  void run(const RangeSession::AskKept& ask);
  void run(const WindowProof::AskHeaders& ask);
  void run(const WindowProof::AskGap& ask);
  void run(const WindowProof::Judge& ask);
  void run(const RangeSession::AskBodies& ask);
  void run(const RangeSession::Write& w);
  void run(const RangeSession::Free& f);
  void run(const RangeSession::Keep& k);
  void run(const RangeSession::NoBorder& n);
  void run(const RangeSession::End& e);
  /// Puts a question to the dispatcher; the event that the coroutine `ask` returns is sent back to this actor.
  void ask(Lane lane, std::function<Task<SessionEvent>(Sources, CancelPtr)> ask);

  payload_stream_impl::pointer self_;
  StreamConfig config_;
  PayloadReaderPtr reader_;
  std::optional<RangeSession> session_;
};

payload_stream_impl::behavior_type payload_stream(payload_stream_impl::stateful_pointer<PayloadStreamState> self,
                                                  const StreamConfig& config);

}  // namespace towline::fetcher
