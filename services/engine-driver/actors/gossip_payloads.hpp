// The payloads of the p2p network. p2p-gossip pushes each new one, so that it is here before the command to import it;
// payloads that were not pushed are pulled.
//
// Owns: the pushed payloads (core/pushed_payloads.hpp), the stream that pushes them, and the writer's current range.
// In: ranges and requests for payloads from the writer, pushed payloads, the end of the stream. Out: payloads to the
// writer. Timers: the wait for a pushed payload that a command has overtaken.
//
// The stream is opened with the first range, and again with the first one after it has ended, which are pulled: where
// nobody follows the p2p network, nothing is pushed. If p2p-gossip dies, the writer gets the error. If the stream
// hangs, each range is pulled after kWait.
#pragma once
#include <caf/typed_actor.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "services/engine-driver/actors/payload_stream.hpp"
#include "services/engine-driver/actors/state_hub.hpp"
#include "services/engine-driver/core/pushed_payloads.hpp"

namespace towline::driver {

using pushed_atom = caf::atom_constant<caf::atom("pushed")>;

/// The numbers identify streams of the writer.
using gossip_payloads_actor =
    caf::typed_actor<caf::reacts_to<open_atom, std::uint64_t, OpenPayloadsPtr>,
                     caf::reacts_to<next_atom, std::uint64_t, DonePtr>, caf::reacts_to<close_atom, std::uint64_t>>;
/// Ticks carry the number of the writer's stream.
using gossip_payloads_impl =
    gossip_payloads_actor::extend<caf::reacts_to<pushed_atom, PayloadPtr>, caf::reacts_to<tick_atom, std::uint64_t>>;

struct GossipPayloadsConfig {
  /// The payloads of all new blocks, as they arrive.
  std::function<std::unique_ptr<PayloadStream>()> watch;
  OpenPayloadStream pull;
};

class gossip_payloads_state {
 public:
  static inline const char* name = "gossip_payloads";
  /// A command overtakes its payload by less than this.
  static constexpr auto kWait = std::chrono::milliseconds{50};

  explicit gossip_payloads_state(gossip_payloads_impl::pointer self) : self_{self} {}
  gossip_payloads_impl::behavior_type make_behavior(GossipPayloadsConfig config);

 private:
  struct Range {
    OpenPayloads what;
    /// Pushed payloads of the range that the writer did not get yet.
    std::deque<PreparedPayload> here = {};
    bool found = false;
    std::unique_ptr<PayloadStream> pulled = nullptr;
    DonePtr wanted = nullptr;
  };
  void watch();
  void watch_next();
  void on_pushed(NextPayload::Answer answer);
  void find();
  void pull();
  void serve();

  gossip_payloads_impl::pointer self_;
  GossipPayloadsConfig config_;
  PushedPayloads pushed_;
  std::unique_ptr<PayloadStream> watch_;
  /// The number of the writer's open stream.
  std::uint64_t stream_ = 0;
  std::optional<Range> range_;
};

gossip_payloads_impl::behavior_type gossip_payloads(gossip_payloads_impl::stateful_pointer<gossip_payloads_state> self,
                                                    GossipPayloadsConfig config);

}  // namespace towline::driver
