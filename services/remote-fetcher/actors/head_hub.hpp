// The actor that owns the reported heads of the endpoints (core/head_board), and the subscribers to them.
//
// In: looks at endpoints, endpoints to drop, a rule that seems to be missing, subscribers that join and leave. Out: a
// copy of the board for users that must not wait (Heads::now), and messages to each subscriber, as core/head_watch
// decides. Timers: one, for the next due subscriber. No dependencies on other actors; when a subscriber is gone, its
// call says so. On stop, every subscription ends.
#pragma once
#include <caf/typed_actor.hpp>
#include <functional>
#include <memory>

#include "libs/actor_kit/published.hpp"
#include "libs/actor_kit/terminator.hpp"
#include "services/remote-fetcher/core/head_board.hpp"
#include "services/remote-fetcher/core/head_watch.hpp"

namespace towline::fetcher {

/// The result of a look at an endpoint: its heads, and its blocks at the requested heights.
struct Look {
  contract::HeadSnapshot heads;
  std::vector<std::uint64_t> asked;
  std::map<std::uint64_t, Hash32> has;
};
using LookPtr = std::shared_ptr<const Look>;

/// The functions run in the hub, so they must hand over and return.
struct HeadSubscriber {
  std::optional<eth::BlockId> confirmed_finalized;
  std::function<void(const HeadWatch::Message&, absl::Time now)> tell;
  /// The service stops.
  std::function<void()> end;
};
using HeadSubscriberPtr = std::shared_ptr<const HeadSubscriber>;

}  // namespace towline::fetcher

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::fetcher::LookPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::fetcher::HeadSubscriberPtr)

namespace caf {
class actor_system;
}

namespace towline::fetcher {

using put_atom = caf::atom_constant<caf::atom("put")>;
using heard_atom = caf::atom_constant<caf::atom("heard")>;
using drop_atom = caf::atom_constant<caf::atom("drop")>;
using rules_atom = caf::atom_constant<caf::atom("rules")>;
using watch_atom = caf::atom_constant<caf::atom("watch")>;
using unwatch_atom = caf::atom_constant<caf::atom("unwatch")>;
using tick_atom = caf::atom_constant<caf::atom("tick")>;

using head_hub_actor = caf::typed_actor<
    // The result of a look.
    caf::reacts_to<put_atom, LookPtr>,
    // An endpoint names a head of this Unix time, which matches the block's number.
    caf::reacts_to<heard_atom, std::string, std::uint64_t>,
    // An endpoint's word no longer counts.
    caf::reacts_to<drop_atom, std::string>,
    // A check that every source fails; empty: a block verified.
    caf::reacts_to<rules_atom, std::string>,
    // Subscribers are identified by the caller's number.
    caf::reacts_to<watch_atom, std::uint64_t, HeadSubscriberPtr>, caf::reacts_to<unwatch_atom, std::uint64_t>,
    caf::reacts_to<stop_atom>>;

struct HeadHubConfig {
  Vote vote;
  ChainClock clock;
  /// The poll interval.
  absl::Duration interval;
  /// Called in the hub: it must not block.
  std::function<SourceTroubles(const HeadBoard& board, absl::Time now)> troubles;
};

/// A handle to the hub, usable on any thread.
class Heads {
 public:
  Heads(caf::actor_system& system, HeadHubConfig config);

  /// The board after the last processed message.
  std::shared_ptr<const HeadBoard> now() const { return board_->get(); }
  void put(Look look) const;
  void heard(const std::string& endpoint, std::uint64_t head_time) const;
  void drop(const std::string& endpoint) const;
  void set_unknown_rules(std::string what) const;
  /// A block verified.
  void clear_unknown_rules() const;
  void watch(std::uint64_t subscriber, HeadSubscriberPtr s) const;
  void unwatch(std::uint64_t subscriber) const;
  /// Ends all subscriptions; later ones end at once.
  void stop() const;
  const head_hub_actor& actor() const { return actor_; }

 private:
  std::shared_ptr<Published<HeadBoard>> board_;
  head_hub_actor actor_;
};

}  // namespace towline::fetcher
