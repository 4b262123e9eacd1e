// The actor that owns what the endpoints said of their heads (core/head_board), and those who watch it.
//
// In: looks at endpoints, and whom to drop; a rule that we seem to miss; subscribers that come and go. Out: a copy of
// the board for whoever may not wait (Heads::now), and to each subscriber what core/head_watch says. Timers: one, for
// the subscriber that is to be told next. It depends on no other actor; a subscriber that is gone is told of by its
// call. On stop every subscription ends.
#pragma once
#include <caf/typed_actor.hpp>
#include <functional>
#include <memory>

#include "libs/actor_kit/published.hpp"
#include "services/remote-fetcher/core/head_board.hpp"
#include "services/remote-fetcher/core/head_watch.hpp"

namespace towline::fetcher {

/// One look at an endpoint: its heads, and what it has at the heights that were asked for.
struct Look {
  contract::HeadSnapshot heads;
  std::vector<std::uint64_t> asked;
  std::map<std::uint64_t, Hash32> has;
};
using LookPtr = std::shared_ptr<const Look>;

/// Its functions run in the hub: they hand over and return.
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
using stop_atom = caf::atom_constant<caf::atom("stop")>;
using tick_atom = caf::atom_constant<caf::atom("tick")>;

using head_hub_actor = caf::typed_actor<
    // A look.
    caf::reacts_to<put_atom, LookPtr>,
    // An endpoint names a head of this Unix time, which is what the block's number says.
    caf::reacts_to<heard_atom, std::string, std::uint64_t>,
    // What an endpoint said counts no more.
    caf::reacts_to<drop_atom, std::string>,
    // A check that every source fails; empty: a block verifies.
    caf::reacts_to<rules_atom, std::string>,
    // By the caller's number for it.
    caf::reacts_to<watch_atom, std::uint64_t, HeadSubscriberPtr>, caf::reacts_to<unwatch_atom, std::uint64_t>,
    caf::reacts_to<stop_atom>>;

struct HeadHubConfig {
  Vote vote;
  ChainClock clock;
  /// Of polls.
  absl::Duration interval;
  /// Asked in the hub: it may not block.
  std::function<SourceTroubles(const HeadBoard& board, absl::Time now)> troubles;
};

/// The hub for whoever has to do with it, on any thread.
class Heads {
 public:
  Heads(caf::actor_system& system, HeadHubConfig config);

  /// As it was after the last message.
  std::shared_ptr<const HeadBoard> now() const { return board_->get(); }
  void put(Look look) const;
  void heard(const std::string& endpoint, std::uint64_t head_time) const;
  void drop(const std::string& endpoint) const;
  void set_unknown_rules(std::string what) const;
  /// A block verifies.
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
